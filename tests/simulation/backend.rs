//! The backend: what it hears it writes down, and it is not always well.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gateway::integration::http::MayGo;
use gateway::integration::{Answering, Model, withheld};
use gateway_core::failure::Failure;
use gateway_core::header_lines::HeaderLines;
use gateway_core::id::{ConnectionId, ParsedId};
use gateway_core::mapping::BackendAnswer;
use gateway_core::session::CloseCause;
use harness::ledger::Event;
use http::Uri;
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::letters::{self, Unheard};
use crate::world::{BACKEND, World};

const PORT: u16 = 9000;
/// How long a call may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

/// A request, as far as the backend cares.
struct Asked {
    event_type: String,
    event_id: String,
    id: String,
    query: String,
    reason: String,
    body: Bytes,
}

/// A node's way to the backend.
#[derive(Debug)]
pub(crate) struct BackendClient(pub(crate) Arc<World>);

impl Model for BackendClient {
    fn call<'a>(
        &'a self,
        uri: Uri,
        headers: HeaderLines,
        body: Bytes,
        deadline: Instant,
        may_go: MayGo<'a>,
    ) -> Answering<'a> {
        let text = |name: &str| headers.text(name).unwrap_or_default().to_owned();
        let asked = Asked {
            event_type: text("x-wiregate-event-type"),
            event_id: text("x-wiregate-event-id"),
            id: text("x-wiregate-connection-id"),
            query: uri.query().unwrap_or_default().to_owned(),
            reason: text("x-wiregate-disconnect-reason"),
            body,
        };
        Box::pin(async move {
            let (id, connects) = (asked.id.clone(), asked.event_type == "CONNECT");
            let limit = deadline.saturating_duration_since(Instant::now());
            match letters::ask_while::<Asked, u16>(BACKEND, PORT, asked, limit, may_go).await {
                Ok(status) => {
                    if connects && status == 200 {
                        self.0.write(Event::Entered { id });
                    }
                    Ok(BackendAnswer::Http {
                        status,
                        headers: HeaderLines::default(),
                        body: Bytes::new(),
                    })
                }
                Err(Unheard::Withheld) => Err(withheld()),
                Err(_) if Instant::now() >= deadline => Err(Failure::IntegrationTimeout),
                Err(Unheard::NotSent) => Err(Failure::Unreachable("no connection".to_owned())),
                Err(Unheard::NoAnswer) => Err(Failure::NetworkError("no answer".to_owned())),
            }
        })
    }
}

/// The backend's machine.
pub(crate) async fn host(world: Arc<World>) -> turmoil::Result {
    let dice = Arc::new(Mutex::new(Dice::new(world.seed, "backend")));
    letters::serve(PORT, move |asked: Asked| {
        let (world, dice) = (Arc::clone(&world), Arc::clone(&dice));
        async move { answer(&world, &dice, asked).await }
    })
    .await?;
    Ok(())
}

async fn answer(world: &World, dice: &Mutex<Dice>, asked: Asked) -> Option<u16> {
    let mood = world.lock().backend_mood;
    let (refused, lost, late, think, unwanted) = {
        let mut dice = dice.lock().expect("nobody panics with it");
        (
            dice.permille(mood.refuses),
            dice.permille(mood.loses_answers),
            dice.permille(mood.dawdles),
            dice.millis(0, 40),
            dice.permille(60),
        )
    };
    let id = asked.id.clone();
    let think = if late { TIMEOUT + think } else { think };
    match asked.event_type.as_str() {
        "CONNECT" => {
            let client = asked
                .query
                .rsplit('=')
                .next()
                .unwrap_or_default()
                .to_owned();
            let node = match ConnectionId::parse(&id) {
                Ok(ParsedId::Ours(id)) => id.node().to_string(),
                _ => String::new(),
            };
            let connect = Event::Connect {
                client,
                id: id.clone(),
                node,
            };
            world.write(connect);
            world.lock().known.push(id.clone());
            // Who thinks for long is pushed to meanwhile.
            tokio::time::sleep(think * 4).await;
            let accepted = !refused && !unwanted;
            world.write(Event::Judged { id, accepted });
            (!lost).then_some(if accepted { 200 } else { 403 })
        }
        "DISCONNECT" => {
            let taken = !refused;
            let reason = percent_decode_str(&asked.reason).decode_utf8_lossy();
            world.write(Event::Disconnect {
                id,
                event_id: asked.event_id,
                taken,
                by_others: reason == CloseCause::NodeLost.reason(),
            });
            tokio::time::sleep(think).await;
            (!lost).then_some(if taken { 200 } else { 503 })
        }
        _ => {
            let text = String::from_utf8_lossy(&asked.body);
            let (client, n) = text.rsplit_once(' ')?;
            let n = n.parse().ok()?;
            let client = client.to_owned();
            world.write(Event::Message { id, client, n });
            tokio::time::sleep(think).await;
            (!lost).then_some(if refused { 500 } else { 200 })
        }
    }
}
