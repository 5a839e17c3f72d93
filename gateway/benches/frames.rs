//! What frames cost: `cargo bench -p wiregate`. Compare figures of one machine and one hour only.
#![allow(missing_docs, reason = "criterion's macros define public items")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gateway::codec::{Decoder, FrameKind, Limits, encode};

/// The shortest chat message, a usual one, and AWS's largest.
const LENGTHS: [usize; 3] = [91, 1024, 128 * 1024];

const LIMITS: Limits = Limits {
    frame: usize::MAX,
    message: 1024 * 1024,
    fragments: 1024,
    binary: true,
};

/// A masked text frame, as a client sends it.
fn from_client(length: usize) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let payload = vec![b'x'; length];
    let unmasked = encode(FrameKind::Text, &payload, 0);
    let header = unmasked.len() - length;
    let mut frame = unmasked[..header].to_vec();
    frame[1] |= 0x80;
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

fn decode_frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for length in LENGTHS {
        let frame = from_client(length);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("text", length), |bencher| {
            bencher.iter_batched_ref(
                || frame.clone(),
                |input| {
                    let (used, event) = Decoder::default()
                        .decode(black_box(input), &LIMITS)
                        .expect("a good frame");
                    assert_eq!(used, frame.len());
                    event
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn encode_frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for length in LENGTHS {
        let payload = vec![b'x'; length];
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("text", length), |bencher| {
            bencher.iter(|| encode(FrameKind::Text, black_box(&payload), 0));
        });
    }
}

criterion_group! {
    name = frames;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = decode_frame, encode_frame
}
criterion_main!(frames);
