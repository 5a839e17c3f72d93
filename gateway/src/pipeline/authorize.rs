//! The station before all others of a handshake: the authorizer of `$connect` says who comes in, and what is known of him.

use std::time::Duration;

use gateway_core::call::{AuthorizerContext, Call};
use gateway_core::event::authorizer::method_arn;
use gateway_core::failure::Failure;
use gateway_core::live::{LiveAuthorizer, LiveRoute};
use gateway_core::mapping::authorizer::{ask, decide};
use gateway_core::mapping::{BackendAnswer, IntegrationRequest};
use tokio::time::Instant;

use super::{End, Pipeline, place};
use crate::node::Deployed;

/// An answer a little over the 8 KB that it may have, so that its size is judged where the words for it are; what a function is
/// read up to anyway is more.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// A client whom an authorizer lets in.
#[derive(Debug)]
pub struct Admitted {
    /// What later events show of him.
    pub context: AuthorizerContext,
    /// How long the authorizer took.
    pub latency: Duration,
}

impl Pipeline {
    /// Asks the route's authorizer, if it has one. A refusal is the end of the call and is recorded here; a route that is closed
    /// asks nobody, the walk refuses it.
    pub async fn authorize(
        &self,
        stage: &Deployed,
        route: &LiveRoute,
        call: &Call<'_>,
    ) -> Result<Option<Admitted>, Failure> {
        let Some(authorizer) = route
            .authorizer
            .as_deref()
            .filter(|_| route.closed.is_none())
        else {
            return Ok(None);
        };
        let began = Instant::now();
        let decided = self.judge(stage, authorizer, call, began).await;
        let latency = began.elapsed();
        decided
            .map(|context| Some(Admitted { context, latency }))
            .inspect_err(|failure| {
                let end = End {
                    latency: None,
                    status: failure.answer().status,
                    failure: Some(failure),
                    retried: false,
                };
                self.record(stage, Some(route), call, &end);
            })
    }

    async fn judge(
        &self,
        stage: &Deployed,
        authorizer: &LiveAuthorizer,
        call: &Call<'_>,
        began: Instant,
    ) -> Result<AuthorizerContext, Failure> {
        let (api_id, stage_name) = (&stage.live.api_id, &stage.live.stage_name);
        let owner = &self.owner;
        let arn = method_arn(&owner.region, &owner.account_id, api_id, stage_name);
        let question = ask(&stage.live, authorizer, call, &arn)?;
        let answer = self.put(stage, authorizer, call, question, began).await;
        decide(authorizer, call, &arn, answer)
    }

    /// Within the time limit, which includes waiting for a place: a slow authorizer holds up nobody but those who wait for it.
    async fn put(
        &self,
        stage: &Deployed,
        authorizer: &LiveAuthorizer,
        call: &Call<'_>,
        question: IntegrationRequest<'_>,
        began: Instant,
    ) -> Result<BackendAnswer, Failure> {
        let deadline = began + authorizer.timeout;
        let places = stage.questions_in_flight(authorizer.index);
        let _place = place(places, deadline).await?;
        let may_go = || self.node.acts_for(&call.connection.id);
        self.integrations
            .invoke(question, MOST_ANSWER_BYTES, deadline, &may_go)
            .await
    }
}
