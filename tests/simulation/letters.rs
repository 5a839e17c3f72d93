//! Questions and answers over simulated TCP, one connection each.
//!
//! What travels is a number of eight bytes; what it stands for lies on a table of this thread, so nothing needs a format. A
//! segment that is lost, late or in two minds is a question or an answer that is so.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use gateway::integration::http::MayGo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Table {
    next: u64,
    letters: BTreeMap<u64, Box<dyn Any>>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// The question never left.
    NotSent,
    /// It might not leave any more.
    Withheld,
    /// It may have been acted upon.
    NoAnswer,
}

/// Clears the table before another run.
pub(crate) fn forget() {
    TABLE.take();
}

fn put(letter: impl Any) -> u64 {
    TABLE.with_borrow_mut(|table| {
        table.next += 1;
        table.letters.insert(table.next, Box::new(letter));
        table.next
    })
}

fn take<T: Any>(number: u64) -> Option<T> {
    let letter = TABLE.with_borrow_mut(|table| table.letters.remove(&number));
    Some(*letter?.downcast().ok()?)
}

/// Asks whoever serves that port.
pub(crate) async fn ask<Q: Any + Send, A: Any + Send>(
    place: &str,
    port: u16,
    question: Q,
    limit: Duration,
) -> Result<A, Unheard> {
    ask_while(place, port, question, limit, &|| true).await
}

/// The same, if `may_go` once there is a connection.
pub(crate) async fn ask_while<Q: Any + Send, A: Any + Send>(
    place: &str,
    port: u16,
    question: Q,
    limit: Duration,
    may_go: MayGo<'_>,
) -> Result<A, Unheard> {
    let mut sent = false;
    let asking = async {
        let connected = TcpStream::connect((place, port)).await;
        let mut stream = connected.map_err(|_| Unheard::NotSent)?;
        if !may_go() {
            return Err(Unheard::Withheld);
        }
        sent = true;
        let lost = |_| Unheard::NoAnswer;
        stream.write_u64(put(question)).await.map_err(lost)?;
        let number = stream.read_u64().await.map_err(lost)?;
        take(number).ok_or(Unheard::NoAnswer)
    };
    match tokio::time::timeout(limit, asking).await {
        Ok(answered) => answered,
        Err(_) if sent => Err(Unheard::NoAnswer),
        Err(_) => Err(Unheard::NotSent),
    }
}

/// Answers questions for as long as it is polled; `None` is no answer.
pub(crate) async fn serve<Q, A, F, Answering>(port: u16, answer: F) -> std::io::Result<()>
where
    Q: Any + Send,
    A: Any + Send,
    F: Fn(Q) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = Option<A>> + Send,
{
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let answer = answer.clone();
        gateway::env::spawn(async move {
            let number = stream.read_u64().await.ok()?;
            let answered = answer(take(number)?).await?;
            stream.write_u64(put(answered)).await.ok()
        });
    }
}
