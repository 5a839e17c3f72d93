//! One generator: a child process of this very program that holds its share of the connections, answers pings, and does what it is
//! told on standard input: `open`, `check`, and to end with it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::client::frame;
use crate::client::socket::{Door, Socket, source};
use crate::error::LoadError;
use crate::scenario::{echo, open};
use crate::subject::{Process, Running};
use crate::system;

/// Upgrades of one generator under way at once.
const AT_ONCE: usize = 32;
/// Every so manieth connection sends a message and waits for its answer; all get a ping.
const SAMPLE: usize = 100;
/// Time for all pongs and answers of one generator.
const CHECK: Duration = Duration::from_mins(2);

/// A generator, seen from the conductor. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Generator {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Generator {
    /// Starts one for `share` connections to `server`.
    pub(super) fn start(server: &Running, share: usize) -> Result<Self, LoadError> {
        let binary = std::env::current_exe()
            .map_err(LoadError::system("cannot find this program's own binary"))?;
        let mut command = Command::new(binary);
        command
            .arg("hold")
            .args(["--to", &server.public.to_string()])
            .args(["--path", &server.path])
            .args(["--share", &share.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::start(command, &[])?;
        let child = process.child();
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(LoadError::Trial("a generator has no pipes".into()));
        };
        Ok(Self {
            process,
            input,
            output: BufReader::new(output),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Gives an order.
    pub(super) fn tell(&mut self, what: &str) -> Result<(), LoadError> {
        writeln!(self.input, "{what}").map_err(LoadError::system("a generator has ended"))
    }

    /// Waits until the order is done, and gives its number: connections open, or messages answered.
    pub(super) fn hear(&mut self) -> Result<u64, LoadError> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(LoadError::system("a generator has ended"))?;
        let number = line
            .strip_prefix("done ")
            .and_then(|number| number.trim().parse().ok());
        number.ok_or_else(|| {
            LoadError::Trial(format!(
                "a generator failed; what it said is above{}",
                line.trim()
            ))
        })
    }
}

/// The generator itself: holds `share` connections until standard input ends.
pub(crate) fn hold(to: SocketAddr, path: &str, share: usize) -> Result<(), LoadError> {
    system::raise_open_files().map_err(LoadError::system("cannot read the limit of open files"))?;
    wait_for("open")?;
    let door = Door {
        public: to,
        path: path.into(),
        tls: None,
    };
    open::runtime()?.block_on(async {
        let (start, begun) = watch::channel(false);
        let (tell, mut told) = mpsc::channel(1024);
        let message: Arc<[u8]> = echo::message("echo", 91).into();
        let opening = stream::iter(0..share).map(async |index| {
            // Servers differ in their ports, so all generators may have the same addresses.
            let socket = Socket::open(&door, source(index)).await?;
            let message = index.is_multiple_of(SAMPLE).then(|| Arc::clone(&message));
            // At once, since the server pings while others still open.
            tokio::spawn(live(socket, begun.clone(), message, tell.clone()));
            Ok(())
        });
        opening
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        drop(tell);
        say(share)?;
        // Orders come over a blocking pipe; sockets are served meanwhile.
        tokio::task::spawn_blocking(|| wait_for("check"))
            .await
            .map_err(|error| LoadError::Trial(error.to_string()))??;
        start.send_replace(true);
        let mut answered = 0;
        let all = async {
            for _ in 0..share {
                match told.recv().await {
                    Some(Ok(true)) => answered += 1,
                    Some(Ok(false)) => {}
                    Some(Err(error)) => return Err(error),
                    None => return Err(LoadError::protocol("a connection was lost")),
                }
            }
            Ok(())
        };
        timeout(CHECK, all)
            .await
            .map_err(|_| LoadError::protocol("not all connections answered"))??;
        say(answered)?;
        tokio::task::spawn_blocking(|| wait_for("end"))
            .await
            .map_err(|error| LoadError::Trial(error.to_string()))?
    })
}

/// One connection: answers pings until the check begins, then asks for a sign of life; true if a message was answered too.
async fn live(
    mut socket: Socket,
    mut begun: watch::Receiver<bool>,
    message: Option<Arc<[u8]>>,
    tell: mpsc::Sender<Result<bool, LoadError>>,
) {
    let lived = async {
        tokio::select! {
            came = socket.receive() => {
                came?;
                return Err(LoadError::protocol("a message came that nobody sent"));
            }
            // The sender is gone only when everything is over.
            _ = begun.wait_for(|begun| *begun) => {}
        }
        socket.ping().await?;
        let Some(message) = message else {
            return Ok(false);
        };
        socket.send(&frame::masked(frame::TEXT, &message)).await?;
        if socket.receive().await? != &*message {
            return Err(LoadError::protocol("not the message that was sent"));
        }
        socket.rest();
        Ok(true)
    };
    let lived = lived.await;
    let alive = lived.is_ok();
    if tell.send(lived).await.is_ok() && alive {
        // Held to the end, pings answered.
        let _ = socket.receive().await;
    }
}

fn say(number: usize) -> Result<(), LoadError> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "done {number}")
        .and_then(|()| stdout.flush())
        .map_err(LoadError::system("cannot write to standard output"))
}

/// Reads the next order. The end of the input ends the process: the conductor is gone, or has finished.
fn wait_for(order: &str) -> Result<(), LoadError> {
    let mut line = String::new();
    let read = std::io::stdin()
        .read_line(&mut line)
        .map_err(LoadError::system("cannot read an order"))?;
    match line.trim() {
        _ if read == 0 => std::process::exit(0),
        word if word == order => Ok(()),
        word => Err(LoadError::protocol(format!("{word} in place of {order}"))),
    }
}
