//! How often a frame to a client asks for memory.
#![allow(
    unsafe_code,
    reason = "a global allocator can be written in no other way; this one only counts"
)]

#[path = "../../gateway-core/benches/shared/counting.rs"]
mod counting;

use gateway::codec::{FrameKind, encode};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::BY_THREAD;

#[test]
fn a_message_becomes_frames_in_one_allocation() {
    for length in [0, 91, 1024, 128 * 1024] {
        let payload = vec![b'x'; length];
        for fragment in [0, 32 * 1024] {
            let step = format!("encode {length} bytes, frames of {fragment}");
            counting::check(&step, 1, || encode(FrameKind::Text, &payload, fragment));
        }
    }
}
