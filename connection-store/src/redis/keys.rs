//! Every key in Redis: its name, type, content, life and owner.
//!
//! `n` is a node's incarnation, 12 hexadecimal digits. What stands between braces decides the slot on a cluster, so all keys of
//! one incarnation are in one slot, and so are those of the outbox, those that tell which nodes there are, and those of the documents: each
//! Lua script uses keys of one of these four groups only, but for the fate of a node, which is asked in one step where there is one
//! server. All times are Redis's own, in milliseconds of the epoch.
//!
//! | key | type | content | life | written by |
//! |---|---|---|---|---|
//! | `wg:{n}:lease` | string | [`NodeInfo`](crate::NodeInfo) as JSON: hostname, version, link address, start | the lease, 10 s | its node, with each renewal |
//! | `wg:{n}:fenced` | string | `1`: this incarnation never acts again | 48 h | who declares it dead, or itself when it leaves |
//! | `wg:{n}:conns` | sorted set, all scores 0 | 16 random bytes of the connection's id, then its record as JSON | 7 days after the last renewal | its node; emptied by who buries it |
//! | `wg:{n}:reap` | string | who buries it | the lease | the node that buries it |
//! | `wg:{cluster}:nodes` | sorted set | incarnation by the time of its last renewal | for ever; a member until its node left or is buried | every node |
//! | `wg:{cluster}:boot` | string | when this data set was first seen | for ever | the first node that misses it |
//! | `wg:{outbox}:item` | hash | connection id to the owed `$disconnect` as JSON | until delivered or given up | who buries, who leaves |
//! | `wg:{outbox}:due` | sorted set | connection id by when it may be claimed | as its item | who claims |
//! | `wg:{outbox}:since` | sorted set | connection id by when it came in | as its item | who puts |
//! | `wg:{outbox}:tries` | hash | connection id to how often it was claimed | as its item | who claims |
//! | `wg:{outbox}:dead` | hash | connection id to tries, reason (as JSON) and item, a line each | the youngest 100,000 | who gives up |
//! | `wg:{outbox}:graves` | sorted set | connection id by when it was given up | as its dead letter | who gives up |
//! | `wg:{control}:revision` | string | the documents' revision, decimal; missing is 0 | for ever | who commits or restores documents |
//! | `wg:{control}:docs` | hash | key to text of each document that is not deleted; the field without a name says who committed last | for ever | the same |
//! | `wg:{control}:at` | sorted set | key of each document, deleted ones too, by the revision of its last change | for ever | the same |
//! | `wg:{control}:era` | string | who began with an empty store, or restored it; another one where the past is another one | for ever | the same |
//! | `wg:{control}:staged:{token}`, `wg:{control}:staged:{token}:at` | as `docs` and `at` | what one commit or copy too large for one call will change | 60 s | the same |
//!
//! Channels, sharded on a cluster: `wg:{n}:bus`, on which a node hears others and itself. An ACL needs them as `&wg:*`.
//!
//! Why one sorted set for all connections of a node, and no key for each: equal scores order the members by their bytes,
//! which are those of the ids, so that a range of it is a page in the order of ids, the beginning of a member finds and removes it, and
//! to add it again changes nothing. A hash for each connection, with a set as its index, takes more memory and an expiry for each.
//!
//! Why nodes and boot are in one slot: a node that is missing among the nodes counts as absent only if the data set is
//! older than its absence, and a cluster can lose one slot and keep another.

use gateway_core::id::NodeId;

/// How long a fence lasts, in seconds: longer than any paused process sleeps.
pub(super) const FENCE_SECONDS: u64 = 48 * 60 * 60;
/// How long connections of a node outlive its last renewal, in milliseconds, if nobody is there to bury it.
pub(super) const CONNECTIONS_MILLIS: u64 = 7 * 24 * 60 * 60 * 1000;

pub(super) const NODES: &str = "wg:{cluster}:nodes";
pub(super) const BOOT: &str = "wg:{cluster}:boot";

pub(super) const ITEM: &str = "wg:{outbox}:item";
pub(super) const DUE: &str = "wg:{outbox}:due";
pub(super) const SINCE: &str = "wg:{outbox}:since";
pub(super) const TRIES: &str = "wg:{outbox}:tries";
pub(super) const DEAD: &str = "wg:{outbox}:dead";
pub(super) const GRAVES: &str = "wg:{outbox}:graves";

pub(super) const REVISION: &str = "wg:{control}:revision";
pub(super) const DOCS: &str = "wg:{control}:docs";
pub(super) const AT: &str = "wg:{control}:at";
pub(super) const ERA: &str = "wg:{control}:era";
/// How long what is staged waits for the rest, in milliseconds.
pub(super) const STAGED_MILLIS: u64 = 60 * 1000;

/// What one commit or copy stages: its texts, and which keys there are.
pub(super) fn staged(token: &str) -> [String; 2] {
    let docs = format!("wg:{{control}}:staged:{token}");
    let at = format!("{docs}:at");
    [docs, at]
}

pub(super) fn lease(node: NodeId) -> String {
    format!("wg:{{{node}}}:lease")
}

pub(super) fn fenced(node: NodeId) -> String {
    format!("wg:{{{node}}}:fenced")
}

pub(super) fn connections(node: NodeId) -> String {
    format!("wg:{{{node}}}:conns")
}

pub(super) fn reap(node: NodeId) -> String {
    format!("wg:{{{node}}}:reap")
}

/// The channel on which a node hears. Nothing that is published is stored.
pub(super) fn bus(node: NodeId) -> String {
    format!("wg:{{{node}}}:bus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_page() {
        let node = NodeId([0, 1, 2, 0xab, 0xcd, 0xef]);
        assert_eq!(lease(node), "wg:{000102abcdef}:lease");
        assert_eq!(fenced(node), "wg:{000102abcdef}:fenced");
        assert_eq!(connections(node), "wg:{000102abcdef}:conns");
        assert_eq!(reap(node), "wg:{000102abcdef}:reap");
        let own = ["wg:{control}:staged:x", "wg:{control}:staged:x:at"];
        assert_eq!(staged("x"), own);
    }
}
