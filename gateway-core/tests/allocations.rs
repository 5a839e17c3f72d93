//! How often each pure step on the way of a message asks for memory. A bound that breaks is a question, not a ban: was
//! the allocation needed? `cargo test -p gateway-core --test allocations -- --nocapture` prints the counts.
#![allow(
    unsafe_code,
    reason = "a global allocator can be written in no other way; this one only counts"
)]

#[path = "../benches/shared/calls.rs"]
mod calls;
#[path = "../benches/shared/counting.rs"]
mod counting;

use gateway_core::auth::sigv4::{EXECUTE_API, SignedRequest, payload_hash, verify};
use gateway_core::mapping::build;

use calls::{EXPRESSIONS, NOW, aws_proxy, call, connection, credentials, http_proxy, mapped};
use calls::{message, signed_headers, stage};
use counting::check;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::BY_THREAD;

#[test]
fn a_route_is_selected_without_a_copy_of_the_message() {
    let connection = connection();
    for ((name, expression), most) in EXPRESSIONS.iter().zip([0, 0, 2]) {
        let stage = stage(expression, http_proxy());
        for length in [91, 128 * 1024] {
            let body = message(length);
            let text = std::str::from_utf8(&body).expect("text");
            check(&format!("select: {name}, {length} bytes"), most, || {
                let route = stage.select_message(&connection, Some(text));
                assert_ne!(&*route.expect("a route").route_key, "$default");
            });
        }
    }
}

#[test]
fn a_request_is_built_with_few_allocations() {
    let connection = connection();
    for (name, integration, most) in [
        ("HTTP_PROXY", http_proxy(), 4),
        ("HTTP_PROXY, four parameters", mapped(), 20),
        ("AWS_PROXY", aws_proxy(), 12),
    ] {
        let stage = stage(EXPRESSIONS[0].1, integration);
        let body = message(91);
        let call = call(&connection, &body);
        check(&format!("build: {name}"), most, || {
            build(&stage, &stage.integrations[0], &call, "http://callback").expect("a request")
        });
    }
}

#[test]
fn a_signature_is_verified_with_few_allocations() {
    let path = "/dev/@connections/AQEBAQEBAgICAgICAgICAgICAgICAgI=";
    let body = message(91);
    let hash = payload_hash(&body);
    let headers = signed_headers(path, &hash);
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    check("verify sigv4", 38, || {
        let request = SignedRequest {
            method: "POST",
            path,
            query: "",
            headers: &headers,
            payload_hash: &hash,
        };
        verify(&request, &|_| Some(credentials()), NOW, EXECUTE_API).expect("a good signature")
    });
}
