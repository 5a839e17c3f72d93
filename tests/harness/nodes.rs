//! Several gateways that share a store: started together, one more at a time, ended one by one.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use futures_util::future::join_all;

use crate::{Exit, Gateway, GatewayCommand, within};

/// How long nodes may take to find each other, or to find out that one is not there any more.
const FINDING: Duration = Duration::from_secs(20);

/// Nodes by number, in the order in which they came; one that has ended keeps its number.
#[derive(Debug)]
pub struct Nodes {
    command: GatewayCommand,
    nodes: Vec<Gateway>,
}

impl Nodes {
    /// So many at once, with `command` and that store; returns when each knows all others.
    pub async fn start(command: GatewayCommand, store: &str, count: usize) -> Self {
        let command = command.node_of(store);
        let starting = (0..count).map(|_| command.clone().start());
        let nodes = Self {
            nodes: join_all(starting).await,
            command,
        };
        let all: Vec<usize> = (0..count).collect();
        nodes.know_each_other(&all).await;
        nodes
    }

    /// One more; its number. The others may not know of it yet.
    pub async fn join(&mut self) -> usize {
        let command = self.command.clone();
        self.join_with(command).await
    }

    /// As [`join`](Self::join), started in another way that [`command`](Self::command) was made into.
    pub async fn join_with(&mut self, command: GatewayCommand) -> usize {
        self.nodes.push(command.start().await);
        self.nodes.len() - 1
    }

    /// How they are started.
    pub fn command(&self) -> GatewayCommand {
        self.command.clone()
    }

    /// Waits until each of these counts as many as these are.
    pub async fn know_each_other(&self, these: &[usize]) {
        within(FINDING, "the nodes know each other", async || {
            for node in these {
                let known = self.nodes[*node].metric("wiregate_nodes ").await?;
                if (known - these.len() as f64).abs() > 0.5 {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Ends one as a crash would.
    pub async fn kill(&mut self, node: usize) -> Exit {
        self.nodes[node].signal("KILL");
        self.nodes[node].wait_exit(Duration::from_secs(5)).await
    }
}

impl Index<usize> for Nodes {
    type Output = Gateway;

    fn index(&self, node: usize) -> &Gateway {
        &self.nodes[node]
    }
}

impl IndexMut<usize> for Nodes {
    fn index_mut(&mut self, node: usize) -> &mut Gateway {
        &mut self.nodes[node]
    }
}
