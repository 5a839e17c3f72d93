//! Clients: they come, talk, listen, and go in every way that there is.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use harness::ledger::Event;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use turmoil::net::TcpStream;

use crate::dice::Dice;
use crate::node;
use crate::pusher;
use crate::world::{NODES, World};

const CLIENTS: usize = 8;
/// A client that hears nothing for so long, not even a ping, gives its connection up.
const DEAF: Duration = Duration::from_secs(12);

/// The machine of a crowd of clients.
pub(crate) async fn host(world: Arc<World>, crowd: &'static str) -> turmoil::Result {
    for number in 0..CLIENTS {
        tokio::spawn(come_and_go(Arc::clone(&world), crowd, number));
    }
    std::future::pending().await
}

async fn come_and_go(world: Arc<World>, crowd: &'static str, number: usize) {
    let mut dice = Dice::new(world.seed, &format!("{crowd} {number}"));
    for attempt in 0.. {
        tokio::time::sleep(dice.millis(0, 1_500)).await;
        if world.is_quiet() {
            return;
        }
        let client = format!("{crowd}.{number}.{attempt}");
        let place = *dice.pick(&NODES);
        let whereabouts = (crowd, place);
        world.lock().attempts.insert(client.clone(), whereabouts);
        connect(&world, &client, place, &mut dice).await;
        world.lock().attempts.remove(&client);
    }
}

async fn connect(world: &Arc<World>, client: &str, place: &str, dice: &mut Dice) {
    let name = || client.to_owned();
    let patience = dice.millis(500, 6_000);
    let handshake = async {
        let stream = TcpStream::connect((place, node::PORT)).await?;
        let address = format!("ws://gateway/dev?client={client}");
        tokio_tungstenite::client_async(address, stream).await
    };
    let socket = match tokio::time::timeout(patience, handshake).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(Error::Http(_))) => return world.write(Event::TurnedAway { client: name() }),
        Ok(Err(_)) | Err(_) => return world.write(Event::Vanished { client: name() }),
    };
    world.write(Event::Opened { client: name() });
    let (mut sink, stream) = socket.split();
    let reading = tokio::spawn(read(Arc::clone(world), name(), stream));
    let stays = dice.permille(250);
    let until = world.now() + dice.between(200, 12_000);
    let mut n = 0;
    while (stays || world.is_quiet() || world.now() < until) && !reading.is_finished() {
        let pause = if world.is_quiet() { 2_000 } else { 700 };
        tokio::time::sleep(dice.millis(0, pause)).await;
        n += 1;
        world.write(Event::Sent { client: name(), n });
        if sink
            .send(Message::text(format!("{client} {n}")))
            .await
            .is_err()
        {
            break;
        }
    }
    if reading.is_finished() {
        return;
    }
    match dice.between(0, 9) {
        // The peer's machine is gone: nobody reads, nobody says so.
        0 | 1 => {
            world.write(Event::Vanished { client: name() });
            reading.abort();
            tokio::spawn(async move {
                let _never_read = (sink, reading);
                tokio::time::sleep(Duration::from_mins(1)).await;
            });
        }
        2..=4 => {
            world.write(Event::Vanished { client: name() });
            reading.abort();
        }
        _ => {
            world.write(Event::Closing { client: name() });
            let _ = sink.close().await;
            let _ = tokio::time::timeout(DEAF, reading).await;
        }
    }
}

type Reading = futures_util::stream::SplitStream<WebSocketStream<TcpStream>>;

async fn read(world: Arc<World>, client: String, mut stream: Reading) {
    loop {
        match tokio::time::timeout(DEAF, stream.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => {
                if let Some(push) = pusher::read(&text) {
                    let client = client.clone();
                    world.write(Event::Read { client, push });
                }
            }
            Ok(Some(Ok(_))) => {}
            Ok(None | Some(Err(_))) => return world.write(Event::Over { client }),
            Err(_) => return world.write(Event::Vanished { client }),
        }
    }
}
