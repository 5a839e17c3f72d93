//! URLs that are read, and what is said of those that are not.

use super::*;

#[track_caller]
fn check(text: &str, expected: &str) {
    let found = match text.parse::<RedisUrl>() {
        Ok(url) => {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            let tls = url.tls.as_ref().map(|files| {
                let path = |path: &Option<PathBuf>| format!("{path:?}");
                let files = [&files.authority, &files.certificate, &files.key];
                files.map(path).join(" ")
            });
            let (user, password) = (part(&url.login.user), part(&url.login.password));
            format!("{url} [{user}] [{password}] {}", tls.unwrap_or_default())
        }
        Err(error) => {
            let text = error.to_string();
            let text = text
                .strip_prefix("the store's URL cannot be used: ")
                .unwrap();
            text.split_once(" (forms: ").unwrap().0.to_owned()
        }
    };
    assert_eq!(found.trim_end(), expected, "{text}");
}

#[test]
fn urls_of_every_topology_are_read() {
    check("redis://localhost", "redis://localhost:6379 [] []");
    check("redis://[::1]:7000/3", "redis://[::1]:7000/3 [] []");
    check("redis://:secret@h", "redis://:***@h:6379 [] [secret]");
    check(
        "redis://us%40er:p%2F%3a@d@h/0",
        "redis://us@er:***@h:6379 [us@er] [p/:@d]",
    );
    check("rediss://h", "rediss://h:6379 [] [] None None None");
    check(
        "rediss://h?ca=/a%20b.pem&cert=c&key=k",
        "rediss://h:6379 [] [] Some(\"/a b.pem\") Some(\"c\") Some(\"k\")",
    );
    check(
        "redis+sentinel://u:p@a,b:1/my/2?sentinelPassword=x",
        "redis+sentinel://u:***@a:26379,b:1/my/2 [u] [p]",
    );
    check(
        "redis+cluster://a:1,b:2/?tls=true&ca=x",
        "redis+cluster://a:1,b:2 [] [] Some(\"x\") None None",
    );
}

#[test]
fn a_url_that_cannot_be_used_says_how_to_mend_it() {
    check("localhost:6379", "it does not begin with a scheme");
    check("http://h", "nothing is known of the scheme \"http\"");
    check("redis://", "a host is missing");
    check(
        "redis://h:0",
        "the port of h is not a number from 1 to 65535",
    );
    check("redis://[::1", "an IPv6 address stands between [ and ]");
    check("redis://h/x", "\"x\" is not the number of a database, as 0");
    check("redis://h/1/2", "nothing is known of \"2\" in it");
    check(
        "redis://a,b",
        "redis:// takes one host; several belong to redis+sentinel:// or redis+cluster://",
    );
    check(
        "redis+sentinel://a",
        "the master's name is missing: write it after the hosts, as in redis+sentinel://host:26379/mymaster",
    );
    check(
        "redis+cluster://a/1",
        "a cluster has only database 0: leave out what follows the hosts",
    );
    check(
        "redis://h?tls=true",
        "TLS is asked for by rediss://, not by ?tls",
    );
    check("redis://h?ca=x", "ca needs TLS: write rediss://");
    check("rediss://h?cert=x", "cert and key go together");
    check(
        "redis://h?timout=3",
        "it has no option \"timout\"; there are tls, ca, cert, key, sentinelUser and sentinelPassword",
    );
    check(
        "redis://u@h",
        "it names a user but no password: write user:password@, or :password@ for the default user",
    );
}

#[test]
fn no_error_and_no_debug_text_shows_a_password() {
    for url in [
        "redis://u:hunter2@h:x",
        "redis://u:hunter2@h/x",
        "redis://u:hunter2/@h",
        "redis://u:hunter2%ff@h",
        "redis://u:1?hunter2=@h",
        "redis+sentinel://u:hunter2@h",
        "ftp://u:hunter2@h",
    ] {
        let error = url.parse::<RedisUrl>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let url: RedisUrl = "redis+sentinel://u:hunter2@h/m?sentinelPassword=hunter2"
        .parse()
        .unwrap();
    assert!(!format!("{url} {url:?}").contains("hunter2"));
}
