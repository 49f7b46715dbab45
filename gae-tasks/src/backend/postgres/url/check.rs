//! What in a URL is not what was meant: unescaped passwords, unknown parameters, missing files.

use std::fs;
use std::net::IpAddr;

use form_urlencoded::parse;
use sqlx::postgres::PgSslMode;

/// Refuses what may be the end of a password with a `/`: the name of a database ends the URL.
pub(super) fn place(place: &str) -> Result<(), String> {
    let rest = place.split_once("://").map_or(place, |(_, rest)| rest);
    match rest.split_once('/') {
        Some((_, database)) if database.contains(['@', '/']) => {
            Err("has an `@` or a `/` in the name of its database: percent-encode special \
                 characters of the user, the password and the database"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses what may be the end of a password with a `?`, before any part of it is quoted.
pub(super) fn password(query: &str) -> Result<(), String> {
    let takes_any = |key: &str| {
        matches!(key, "user" | "password" | "listen_url" | "host" | "dbname" | "application_name")
            || key.starts_with("options")
            || key.starts_with("ssl")
    };
    let is_odd = parse(query.as_bytes())
        .any(|(key, value)| key.contains('@') || value.contains('@') && !takes_any(&key));
    if is_odd {
        return Err("has an `@` after a `?`: percent-encode special characters of user and \
                    password (a `?` is `%3F`)"
            .to_owned());
    }
    Ok(())
}

/// Checks a parameter of sqlx, which ignores those that it does not know.
pub(super) fn parameter(key: &str, value: &str) -> Result<(), String> {
    let (is_valid, expected) = match key {
        "sslmode" | "ssl-mode" => (
            value.parse::<PgSslMode>().is_ok(),
            "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`",
        ),
        "port" => (value.parse::<u16>().is_ok(), "a number"),
        "statement-cache-capacity" => (value.parse::<usize>().is_ok(), "a number"),
        "hostaddr" => (value.parse::<IpAddr>().is_ok(), "an IP address"),
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" | "sslcert" | "ssl-cert" | "sslkey"
        | "ssl-key" => return file(key, value),
        "host" | "dbname" | "user" | "password" | "application_name" | "options" => return Ok(()),
        key if key.starts_with("options[") && key.ends_with(']') => return Ok(()),
        _ => {
            return Err(format!(
                "has the parameter `{key}`, which is not known: use `schema`, `max_connections`, \
                 `pooler`, `listen_url`, or those of a connection (`sslmode`, `sslrootcert`, \
                 `sslcert`, `sslkey`, `host`, `port`, `dbname`, `user`, `password`, \
                 `application_name`, `options`)"
            ));
        }
    };
    if is_valid { Ok(()) } else { Err(format!("has `{key}={value}`: use {expected}")) }
}

/// Checks that a file can be read. The driver reports a missing one as it does a server that is not
/// there.
fn file(key: &str, value: &str) -> Result<(), String> {
    let read = fs::read(value).map(drop);
    read.map_err(|error| format!("has an `{key}` whose file cannot be read ({error})"))
}
