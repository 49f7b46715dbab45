//! Which headers a user may add to the requests of tasks.

/// Headers that the queue or this crate sets, and what a name may not begin with.
const RESERVED: &[&str] = &[
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "user-agent",
    "traceparent",
];
const RESERVED_PREFIXES: &[&str] = &["x-cloudtasks-", "x-appengine-", "x-google-", "x-deferred-"];

/// Why a request cannot have this header. Values are not repeated: they may be secret.
pub(crate) fn problem_of_header(name: &str, value: &str) -> Option<String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Some(format!("{name:?} is not a valid header name"));
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
    {
        let advice = "choose another name, such as `X-Shop-..`";
        return Some(format!(
            "`{name}` is a header that the queue or gae-tasks sets itself: {advice}"
        ));
    }
    let is_text = value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'));
    let allowed = "visible ASCII characters, with spaces and tabs between them";
    (!is_text || value.trim() != value)
        .then(|| format!("the value of `{name}` has other characters than {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str, value: &str) -> String {
        problem_of_header(name, value).unwrap_or_default()
    }

    #[test]
    fn headers_of_ones_own_are_taken() {
        for (name, value) in
            [("X-Shop", "7"), ("authorization", "Bearer a.b"), ("x", ""), ("X-Google", "a\tb c")]
        {
            assert_eq!(problem(name, value), "", "{name}");
        }
    }

    #[test]
    fn headers_that_the_queue_sets_are_refused_however_they_are_written() {
        for name in [
            "Host",
            "CONTENT-LENGTH",
            "X-CloudTasks-TaskName",
            "x-appengine-queuename",
            "X-Google-x",
            "Traceparent",
            "X-Deferred-Task",
            "x-deferred-LETTER",
            "X-Deferred-What-Comes-Later",
        ] {
            let text = problem(name, "x");
            assert!(
                text.contains("the queue or gae-tasks sets itself") && text.contains(name),
                "{text}"
            );
        }
    }

    #[test]
    fn what_would_break_a_request_is_refused_and_no_value_is_told() {
        for name in ["", "a b", "a:b", "ä", "a\r\nb"] {
            assert!(problem(name, "x").contains("is not a valid header name"), "{name:?}");
        }
        for value in ["s3cret\r\nHost: evil", " s3cret", "s3cret ", "s3cret\0", "s3crät"] {
            let text = problem("x", value);
            assert!(text.contains("other characters") && !text.contains("s3cr"), "{text}");
        }
    }
}
