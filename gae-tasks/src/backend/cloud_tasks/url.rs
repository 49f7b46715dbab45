//! The URL of the backend: `cloudtasks://PROJECT/LOCATION?name=value&..`.

use std::time::Duration;

use super::CloudTasks;
use super::builder::CloudTasksBuilder;
use crate::error::Error;

impl CloudTasks {
    /// Opens the queues of the URL `cloudtasks://PROJECT/LOCATION`. After a `?` follow any of these
    /// parameters, joined by `&`:
    ///
    /// | parameter | meaning |
    /// |---|---|
    /// | `url` | [the server] that tasks are sent to, e.g. `https://worker-abc.a.run.app` |
    /// | `service_account` | [the account] whose OIDC token the requests carry |
    /// | `audience` | [the audience] of the token; by default the `url` |
    /// | `target` | `app-engine`: tasks are sent to [App Engine], the default on App Engine |
    /// | `service` | [the service] of App Engine for all tasks |
    /// | `version` | [the version] of the service |
    /// | `background_service` | [the background service] for tasks that `default` defers |
    /// | `prefix` | [the beginning of paths]; `/_cb/deferred` |
    /// | `endpoint` | [the address] of Cloud Tasks, e.g. `http://127.0.0.1:8123` |
    /// | `credentials` | `anonymous`: [no credentials], for local servers |
    /// | `time_limit` | [the time limit] of a call; `10s` |
    /// | `dead_letters` | `queues`: dead letters are kept in [queues] `NAME-dead` |
    /// | `max_payload` | [the most bytes] of a payload with its schema; `100000` |
    ///
    /// [the server]: CloudTasksBuilder::http
    /// [the account]: CloudTasksBuilder::service_account
    /// [the audience]: CloudTasksBuilder::audience
    /// [App Engine]: CloudTasksBuilder::app_engine
    /// [the service]: CloudTasksBuilder::service
    /// [the version]: CloudTasksBuilder::version
    /// [the background service]: CloudTasksBuilder::background_service
    /// [the beginning of paths]: CloudTasksBuilder::prefix
    /// [the address]: CloudTasksBuilder::endpoint
    /// [no credentials]: CloudTasksBuilder::anonymous
    /// [the time limit]: CloudTasksBuilder::time_limit
    /// [queues]: CloudTasksBuilder::dead_letter_queues
    /// [the most bytes]: CloudTasksBuilder::max_payload
    ///
    /// Characters with a meaning in URLs (`&`, `+`, `%`, `#`) are written as `%XX` in values.
    ///
    /// # Errors
    /// [`Error::Url`] if the URL is not valid, and as [`CloudTasksBuilder::build`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        let refused = |problem: String| Error::Url { url: url.to_owned(), problem };
        let rest = url
            .strip_prefix("cloudtasks:")
            .ok_or_else(|| refused("has another scheme than `cloudtasks`".to_owned()))?;
        parse(rest).map_err(refused)?.build().await
    }
}

/// Applies the value of a parameter to the builder, or returns the problem of the value.
type Apply = fn(CloudTasksBuilder, &str) -> Result<CloudTasksBuilder, String>;

/// Every parameter; the documentation of `CloudTasks::open` lists them.
const PARAMETERS: &[(&str, Apply)] = &[
    ("target", |builder, value| match value {
        "app-engine" => Ok(builder.app_engine()),
        _ => Err("is not a target: use `app-engine`, or name a server with `url`".to_owned()),
    }),
    ("service", |builder, value| Ok(builder.service(value))),
    ("version", |builder, value| Ok(builder.version(value))),
    ("background_service", |builder, value| Ok(builder.background_service(value))),
    ("url", |builder, value| Ok(builder.http(value))),
    ("service_account", |builder, value| Ok(builder.service_account(value))),
    ("audience", |builder, value| Ok(builder.audience(value))),
    ("prefix", |builder, value| Ok(builder.prefix(value))),
    ("endpoint", |builder, value| Ok(builder.endpoint(value))),
    ("credentials", |builder, value| match value {
        "anonymous" => Ok(builder.anonymous()),
        _ => Err(
            "is not a kind of credentials: leave it out for the default ones, or use `anonymous`"
                .to_owned(),
        ),
    }),
    ("time_limit", |builder, value| Ok(builder.time_limit(duration(value)?))),
    ("dead_letters", |builder, value| match value {
        "queues" => Ok(builder.dead_letter_queues()),
        _ => Err("is not a place for dead letters: leave it out, or use `queues`".to_owned()),
    }),
    ("max_payload", |builder, value| {
        let bytes = value.parse().map_err(|_| "is not a number of bytes".to_owned())?;
        Ok(builder.max_payload(bytes))
    }),
];

/// Parses the part of a URL after `cloudtasks:`, or returns the problem.
fn parse(rest: &str) -> Result<CloudTasksBuilder, String> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = path.strip_suffix('/').unwrap_or(path).split_once('/');
    let Some((project, location)) = place.filter(|(project, location)| {
        !project.is_empty() && !location.is_empty() && !location.contains('/')
    }) else {
        return Err(
            "does not name project and region, as `cloudtasks://shop-prod/europe-west1` does"
                .to_owned(),
        );
    };
    let mut builder = CloudTasksBuilder::new(project.to_owned(), location.to_owned());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some((_, apply)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = PARAMETERS.iter().map(|(known, _)| format!("`{known}`")).collect();
            return Err(format!(
                "has an unknown parameter `{name}`: there are {}",
                known.join(", ")
            ));
        };
        builder = apply(builder, &value)
            .map_err(|problem| format!("has a parameter `{name}` that {problem}"))?;
    }
    Ok(builder)
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "is not a duration such as `10s` or `500ms`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(rest: &str) -> String {
        parse(rest).err().unwrap_or_else(|| panic!("`{rest}` is accepted"))
    }

    #[test]
    fn project_and_region_are_needed() {
        for rest in ["", "//", "//shop", "//shop/", "///europe-west1", "//a/b/c"] {
            assert!(problem(rest).contains("project and region"), "{rest}");
        }
        assert!(parse("//shop.example:prod/europe-west1").is_ok());
    }

    #[test]
    fn an_unknown_parameter_is_answered_with_the_known_ones() {
        let text = problem("//shop/europe-west1?servce=worker");
        assert!(text.contains("`servce`"), "{text}");
        for (name, _) in PARAMETERS {
            assert!(text.contains(&format!("`{name}`")), "{text}");
        }
    }

    #[test]
    fn values_are_unescaped_and_checked() {
        let builder =
            parse("//shop/europe-west1?url=https%3A%2F%2Fw.run.app&time_limit=2s&max_payload=5")
                .unwrap();
        let text = format!("{builder:?}");
        assert!(
            text.contains("https://w.run.app")
                && text.contains("2s")
                && text.contains("max_payload: 5"),
            "{text}"
        );
        for query in [
            "time_limit=soon",
            "max_payload=big",
            "credentials=mine",
            "target=moon",
            "dead_letters=here",
        ] {
            assert!(
                problem(&format!("//shop/europe-west1?{query}"))
                    .contains(query.split_once('=').unwrap().0)
            );
        }
    }

    #[test]
    fn every_parameter_is_documented() {
        let docs = include_str!("url.rs");
        for (name, _) in PARAMETERS {
            assert!(
                docs.contains(&format!("/// | `{name}` |")),
                "`{name}` is not documented at `CloudTasks::open`"
            );
        }
    }
}
