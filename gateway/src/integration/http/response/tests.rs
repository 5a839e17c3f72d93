//! Answers read whole, in two pieces cut anywhere, and byte by byte.

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds {
    headers: 10,
    head_bytes: 500,
    body_bytes: 20,
};

type Read = Result<(u16, String, Vec<u8>, bool), Flaw>;

fn read(pieces: &[&[u8]], to_head: bool) -> Read {
    let mut reader = ResponseReader::new(BOUNDS, to_head);
    let mut whole = false;
    for piece in pieces {
        whole = reader.feed(piece)?;
    }
    if !whole {
        reader.end()?;
    }
    let (response, again) = reader.finish();
    let names = response.headers.iter().map(|(name, _)| name);
    let names = names.collect::<Vec<_>>().join(" ");
    Ok((response.status.as_u16(), names, response.body.into(), again))
}

/// Read at once, in two pieces cut anywhere, and byte by byte: always the same.
#[track_caller]
fn check(answer: &str, expected: Result<(u16, &str, &str, bool), Flaw>) {
    let expected =
        expected.map(|(status, names, body, again)| (status, names.to_owned(), body.into(), again));
    let bytes = answer.as_bytes();
    assert_eq!(read(&[bytes], false), expected, "{answer:?}");
    for cut in 0..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(
            read(&[head, tail], false),
            expected,
            "{answer:?} cut at {cut}"
        );
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single, false), expected, "{answer:?} byte by byte");
}

#[test]
fn a_length_frames_the_body() {
    let ok = "HTTP/1.1 200 OK\r\n";
    check(
        &format!("{ok}Content-Length: 2\r\n\r\nab"),
        Ok((200, "Content-Length", "ab", true)),
    );
    check(
        &format!("{ok}A: 1\r\ncontent-length: 0\r\nB:\r\n\r\n"),
        Ok((200, "A content-length B", "", true)),
    );
    check(
        &format!("{ok}Content-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab"),
        Ok((200, "Content-Length Content-Length", "ab", true)),
    );
    check(
        &format!("{ok}Content-Length: 2\r\nConnection: x, Close\r\n\r\nab"),
        Ok((200, "Content-Length Connection", "ab", false)),
    );
    check(
        &format!("{ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nab"),
        Err(Flaw::NotHttp),
    );
    check(
        &format!("{ok}Content-Length: +2\r\n\r\nab"),
        Err(Flaw::NotHttp),
    );
    check(
        &format!("{ok}Content-Length:\r\n\r\nab"),
        Err(Flaw::NotHttp),
    );
    check(
        &format!("{ok}Content-Length: 3\r\n\r\nab"),
        Err(Flaw::Incomplete),
    );
    check(
        &format!("{ok}Content-Length: 21\r\n\r\n"),
        Err(Flaw::BodyTooLarge),
    );
    check(
        &format!("{ok}Content-Length: 99999999999999999999\r\n\r\n"),
        Err(Flaw::NotHttp),
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
        Ok((200, "Content-Length", "a", false)),
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na",
        Ok((200, "Content-Length Connection", "a", true)),
    );
}

#[test]
fn chunks_frame_the_body() {
    let chunked =
        |rest: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    let good = |body| Ok((200, "Transfer-Encoding", body, true));
    check(&chunked("0\r\n\r\n"), good(""));
    check(
        &chunked("3\r\nabc\r\n00A;ext=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"),
        good("abc0123456789"),
    );
    check(&chunked("3\r\nabc"), Err(Flaw::Incomplete));
    check(&chunked("3\r\nabc\r\n0\r\n"), Err(Flaw::Incomplete));
    check(&chunked("3\r\nabcd\r\n0\r\n\r\n"), Err(Flaw::NotHttp));
    check(&chunked("3\r\nabc\n0\r\n\r\n"), Err(Flaw::NotHttp));
    check(&chunked("3\nabc\r\n0\r\n\r\n"), Err(Flaw::NotHttp));
    check(&chunked("x\r\nabc\r\n0\r\n\r\n"), Err(Flaw::NotHttp));
    check(&chunked("\r\n\r\n"), Err(Flaw::NotHttp));
    check(&chunked("15\r\n"), Err(Flaw::BodyTooLarge));
    check(&chunked("ffffffffffffffff\r\n"), Err(Flaw::BodyTooLarge));
    check(&chunked("fffffffffffffffff\r\n"), Err(Flaw::NotHttp));
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
        Ok((200, "Transfer-Encoding Content-Length", "a", false)),
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n1\r\n",
        Ok((200, "Transfer-Encoding", "1\r\n", false)),
    );
}

#[test]
fn some_answers_have_no_body_and_some_end_with_the_connection() {
    check(
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        Ok((204, "Content-Length", "", true)),
    );
    check(
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        Ok((204, "Content-Length", "", false)),
    );
    check(
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        Ok((204, "Transfer-Encoding", "", false)),
    );
    check("HTTP/1.1 304 Not Modified\r\n\r\n", Ok((304, "", "", true)));
    check(
        "HTTP/1.1 200 OK\r\n\r\nto the end",
        Ok((200, "", "to the end", false)),
    );
    check(
        "HTTP/1.1 200 OK\r\n\r\nmore than twenty bytes",
        Err(Flaw::BodyTooLarge),
    );
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(
        read(&[head], true),
        Ok((200, "Content-Length".into(), vec![], true))
    );
}

#[test]
fn interim_answers_are_read_past_and_101_is_refused() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    check(
        &format!("{answer}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"),
        Ok((200, "Content-Length", "a", true)),
    );
    check(
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        Err(Flaw::Switching),
    );
    check("HTTP/1.1 100 Continue\r\n\r\n", Err(Flaw::Incomplete));
}

#[test]
fn heads_are_bounded_and_must_be_http() {
    let many = "a: 1\r\n".repeat(11);
    check(
        &format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        Err(Flaw::HeadTooLarge),
    );
    let large = "x".repeat(600);
    check(
        &format!("HTTP/1.1 200 OK\r\na: {large}\r\n\r\n"),
        Err(Flaw::HeadTooLarge),
    );
    check("", Err(Flaw::Incomplete));
    check("HTTP/1.1 2", Err(Flaw::Incomplete));
    check("SSH-2.0\r\n", Err(Flaw::NotHttp));
    check(
        "HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n",
        Err(Flaw::NotHttp),
    );
    check("HTTP/1.1 099 OK\r\n\r\n", Err(Flaw::NotHttp));
}

#[test]
fn what_follows_an_answer_ends_the_connection() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab";
    assert_eq!(
        read(&[answer.as_bytes()], false),
        Ok((200, "Content-Length".into(), b"a".to_vec(), false))
    );
}

proptest! {
    #[test]
    fn nothing_panics_and_cuts_do_not_matter(bytes in "(HTTP/1\\.[01] [1-5]0[0-4] ?x?\r\n)?([A-Za-z-]{1,17}: ?(chunked|close|[0-9]{1,2})\r\n){0,3}(\r\n)?[0-9a-f\r\n]{0,40}", cut in 0_usize..100) {
        let bytes = bytes.as_bytes();
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        let (whole, cut) = (read(&[bytes], false), read(&[head, tail], false));
        // Whether bytes behind the answer are seen depends on when they come.
        let without_reuse = |read: Read| read.map(|(status, names, body, _)| (status, names, body));
        prop_assert_eq!(without_reuse(whole), without_reuse(cut));
    }
}
