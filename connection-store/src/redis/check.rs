//! What an operator should know of a Redis before relying on it.

use redis::Value;

use super::client::{Redis, read};
use crate::StoreError;

/// The oldest version whose commands we use (`ZADD` and scripts as they are here; `SPUBLISH` on a cluster needs 7.0).
const OLDEST: (u32, u32) = (6, 2);

impl Redis {
    /// What is not as it should be, a sentence each; empty where all is well.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("INFO");
        command.arg("all");
        let mut sentences = Vec::new();
        for text in texts(self.call(&command).await?)? {
            for sentence in judge(&text) {
                if !sentences.contains(&sentence) {
                    sentences.push(sentence);
                }
            }
        }
        Ok(sentences)
    }
}

/// One server answers with a text, a cluster with one for each of its servers.
fn texts(answer: Value) -> Result<Vec<String>, StoreError> {
    match answer {
        Value::Map(servers) => {
            let text = |(_, text)| read(text);
            servers.into_iter().map(text).collect()
        }
        Value::Array(servers) => servers.into_iter().map(read).collect(),
        answer => Ok(vec![read(answer)?]),
    }
}

fn judge(info: &str) -> Vec<String> {
    let field = |name: &str| {
        let mut values = info.lines().filter_map(|line| line.split_once(':'));
        values
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim())
    };
    if field("role") == Some("slave") && field("cluster_enabled") == Some("1") {
        return Vec::new();
    }
    let mut sentences = Vec::new();
    // Valkey tells in redis_version which Redis it is compatible with.
    let version = field("redis_version").unwrap_or("unknown");
    let mut parts = version.split('.').map(|part| part.parse().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) < OLDEST => sentences.push(format!(
            "Redis {version} is too old: Wiregate needs {}.{} or Valkey.",
            OLDEST.0, OLDEST.1
        )),
        (Some(_), Some(_)) => {}
        _ => sentences.push(format!(
            "The version of Redis is not known: it says {version:?}."
        )),
    }
    if let Some(policy) = field("maxmemory_policy")
        && policy != "noeviction"
    {
        sentences.push(format!(
            "Redis may throw away connections when memory is short (maxmemory-policy {policy}): \
             set maxmemory-policy noeviction."
        ));
    }
    if field("role") == Some("slave") {
        sentences
            .push("This Redis is a replica, which refuses writes: name the master.".to_owned());
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_say_what_to_mend() {
        #[track_caller]
        fn check(info: &str, expected: &[&str]) {
            assert_eq!(judge(info), expected, "{info}");
        }

        let good =
            "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n";
        check(good, &[]);
        check(
            &good.replace("7.0.15", "6.0.9"),
            &["Redis 6.0.9 is too old: Wiregate needs 6.2 or Valkey."],
        );
        check(
            &good.replace("noeviction", "allkeys-lru"),
            &[
                "Redis may throw away connections when memory is short (maxmemory-policy allkeys-lru): \
               set maxmemory-policy noeviction.",
            ],
        );
        check(
            &good.replace("master", "slave"),
            &["This Redis is a replica, which refuses writes: name the master."],
        );
        check(
            "role:master\n",
            &["The version of Redis is not known: it says \"unknown\"."],
        );
    }
}
