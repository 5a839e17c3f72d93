//! How a push is worded: where it is posted, and what stands around the message.

/// The manner of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// `POST {prefix}/@connections/{id}` with the message as the body, as on AWS.
    Callback(&'static str),
    /// `POST /publish/` with the message inside JSON, to a channel whose name is the connection's id: Pushpin.
    Publish,
}

/// What is the same in all pushes to one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Path of the POST.
    pub(crate) path: String,
    /// What stands before the message.
    pub(crate) head: String,
    /// What stands behind it.
    pub(crate) tail: &'static str,
}

impl Manner {
    /// For the connection `id`; `=` is encoded, as the AWS SDKs do.
    pub(crate) fn letter(self, id: &str) -> Letter {
        match self {
            Self::Callback(prefix) => Letter {
                path: format!("{prefix}/@connections/{}", id.replace('=', "%3D")),
                head: String::new(),
                tail: "",
            },
            Self::Publish => Letter {
                path: "/publish/".into(),
                head: format!(
                    r#"{{"items":[{{"channel":"{id}","formats":{{"ws-message":{{"content":""#
                ),
                tail: r#""}}}]}"#,
            },
        }
    }

    /// True if the message has to be escaped as the inside of a JSON string.
    pub(crate) fn escapes(self) -> bool {
        self == Self::Publish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_has_the_id_in_the_path() {
        let letter = Manner::Callback("/dev").letter("ab=");
        assert_eq!(letter.path, "/dev/@connections/ab%3D");
        assert_eq!((letter.head.as_str(), letter.tail), ("", ""));
    }

    #[test]
    fn pushpin_has_it_in_the_body() {
        let letter = Manner::Publish.letter("ab");
        let body = format!("{}hello{}", letter.head, letter.tail);
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(json["items"][0]["channel"], "ab");
        assert_eq!(
            json["items"][0]["formats"]["ws-message"]["content"],
            "hello"
        );
    }
}
