//! The URL of a database, with the parameters of this crate and of sqlx.

mod check;

use form_urlencoded::{Serializer, parse};
use sqlx::postgres::PgConnectOptions;

use super::database::DEFAULT_SCHEMA;
use crate::error::Error;

/// How many connections a process makes at most, unless the URL says otherwise.
const CONNECTIONS: u32 = 8;

/// What a URL says. Not `Debug`, because sqlx's options show the password.
pub(super) struct Target {
    pub(super) connect: PgConnectOptions,
    /// How to connect to hear of other processes; `None` if that is not possible.
    pub(super) listen: Option<PgConnectOptions>,
    pub(super) schema: String,
    pub(super) max_connections: u32,
    /// Whether a pooler gives each transaction another connection.
    pub(super) is_pooled: bool,
    /// Whether this process listens where it works, and no pooler is in between.
    pub(super) is_direct: bool,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Error::Url`], without passwords.
    pub(super) fn read(url: &str) -> Result<Self, Error> {
        Self::parts(url).map_err(|problem| Error::Url {
            url: without_secrets(url),
            problem: problem.to_owned(),
        })
    }

    fn parts(url: &str) -> Result<Self, String> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        check::place(place)?;
        check::password(query)?;
        let mut own = Own::default();
        let mut others = Serializer::new(String::new());
        let mut has_options = false;
        for (key, value) in parse(query.as_bytes()) {
            has_options |= key.starts_with("options");
            if !own.takes(&key, &value)? {
                check::parameter(&key, &value)?;
                others.append_pair(&key, &value);
            }
        }
        if own.is_pooled && has_options {
            return Err("combines `options` with `pooler=transaction`, which the pooler refuses: \
                        set them for the role instead (`ALTER ROLE .. SET ..`)"
                .to_owned());
        }
        let connect = connect(&format!("{place}?{}", others.finish()))?;
        let is_direct = !own.is_pooled && own.listen.is_none();
        let (connect, listen) = match (own.is_pooled, own.listen) {
            (true, listen) => (pooled(connect), listen),
            (false, None) => (planned(connect.clone()), Some(connect)),
            (false, listen) => (planned(connect), listen),
        };
        let schema = own.schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        let max_connections = own.max_connections.unwrap_or(CONNECTIONS);
        let is_pooled = own.is_pooled;
        Ok(Self { connect, listen, schema, max_connections, is_pooled, is_direct })
    }

    /// Returns where the database is, for errors and logs.
    pub(super) fn place(&self) -> String {
        let (options, user) = (&self.connect, self.connect.get_username());
        let database = options.get_database().unwrap_or(user);
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => options.get_host().to_owned(),
        };
        format!("the database `{database}` at {host}:{} as `{user}`", options.get_port())
    }
}

/// The parameters of this crate.
#[derive(Default)]
struct Own {
    schema: Option<String>,
    max_connections: Option<u32>,
    is_pooled: bool,
    listen: Option<PgConnectOptions>,
}

impl Own {
    /// Takes a parameter, if it is one of this crate.
    fn takes(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "schema" => self.schema = Some(schema(value)?),
            "max_connections" => self.max_connections = Some(connections(value)?),
            "pooler" if value == "transaction" => self.is_pooled = true,
            "pooler" => {
                return Err(format!(
                    "has `pooler={value}`: use `pooler=transaction`, or leave the parameter out if \
                     each connection leads to one of the server's own"
                ));
            }
            "listen_url" => {
                let options = connect(value).map_err(|problem| {
                    format!("has a `listen_url` that {problem} (encode its `&` as `%26`)")
                })?;
                self.listen = Some(options);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn schema(value: &str) -> Result<String, String> {
    if is_schema(value) {
        return Ok(value.to_owned());
    }
    Err(format!(
        "has `schema={value}`: use 1 to 63 lowercase letters, digits and underscores, the first of \
         which is no digit"
    ))
}

/// Whether this is a name for the schema of the tables.
pub(super) fn is_schema(name: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    let bytes = name.as_bytes();
    bytes.first().is_some_and(is_first)
        && bytes.len() <= 63
        && bytes.iter().all(|byte| is_first(byte) || byte.is_ascii_digit())
}

fn connections(value: &str) -> Result<u32, String> {
    // One stores tasks while the other asks what became of the last ones.
    value
        .parse()
        .ok()
        .filter(|number| (2..=10_000).contains(number))
        .ok_or_else(|| format!("has `max_connections={value}`: use a number from 2 to 10000"))
}

fn connect(url: &str) -> Result<PgConnectOptions, String> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(scheme, Some("postgres" | "postgresql")) {
        return Err("does not begin with `postgres://`".to_owned());
    }
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
        format!(
            "cannot be read ({error}): use `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and \
             percent-encode special characters of user and password"
        )
    })?;
    use sqlx::ConnectOptions;
    let options = options.disable_statement_logging();
    Ok(match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("gae-tasks"),
    })
}

/// Plans must not depend on statistics, which lag behind a queue that fills or drains, nor what a
/// statement sees on the isolation that the role or the database is set to.
fn planned(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        ("jit", "off"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("default_transaction_isolation", "read committed"),
    ])
}

/// Leaves out what a pooler refuses or what would outlive a transaction.
fn pooled(options: PgConnectOptions) -> PgConnectOptions {
    options.extra_float_digits(None).statement_cache_capacity(0)
}

/// The parameters that are not shown. Who does not know that a key is a file writes what is in it.
const SECRET: [&str; 4] = ["password", "listen_url", "sslkey", "ssl-key"];

/// The URL for errors and logs: without anything that may be part of a password, even if a password
/// was not escaped.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |end| end + 3));
    let rest = match rest.rsplit_once('@') {
        Some((user_info, place)) => match user_info.split_once(':') {
            Some((user, _)) => format!("{user}:***@{place}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    let (place, query) = rest.split_once('?').unwrap_or((&rest, ""));
    let shown = |pair: &str| match pair.split_once('=') {
        Some((key, _)) if SECRET.contains(&key) => format!("{key}=***"),
        _ => pair.to_owned(),
    };
    let query: Vec<_> = query.split('&').map(shown).collect();
    let mark = if rest.contains('?') { "?" } else { "" };
    format!("{scheme}{place}{mark}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::*;

    fn problem(url: &str) -> String {
        Target::read(url).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn own_parameters_are_read_and_those_of_sqlx_are_passed_on() {
        let url = "postgres://ann:pw@db:5433/shop?schema=jobs&max_connections=3&sslmode=require&\
                   host=%2Ftmp&pooler=transaction&listen_url=postgres%3A%2F%2Fann%40direct%2Fshop";
        let target = Target::read(url).unwrap();
        assert_eq!((target.schema.as_str(), target.max_connections), ("jobs", 3));
        assert!(target.is_pooled);
        assert_eq!(target.listen.as_ref().unwrap().get_host(), "direct");
        assert!(matches!(target.connect.get_ssl_mode(), PgSslMode::Require));
        assert_eq!(target.place(), "the database `shop` at /tmp:5433 as `ann`");
    }

    #[test]
    fn a_pooler_gets_no_settings_and_is_not_listened_through() {
        let target = Target::read("postgres://db/shop?pooler=transaction").unwrap();
        assert_eq!(target.connect.get_options(), None);
        assert!(target.listen.is_none());
        let direct = Target::read("postgres://db/shop").unwrap();
        let options = direct.connect.get_options().unwrap();
        assert!(options.contains("enable_seqscan=off"));
        assert!(
            options.ends_with(r"-c default_transaction_isolation=read\ committed"),
            "{options}"
        );
        assert!(direct.listen.is_some());
    }

    #[test]
    fn a_listener_elsewhere_is_not_direct() {
        let listen = "listen_url=postgres%3A%2F%2Fdb%2Fshop";
        let is_direct =
            |query: &str| Target::read(&format!("postgres://db/shop?{query}")).unwrap().is_direct;
        assert!(is_direct("schema=jobs"));
        assert!(!is_direct("pooler=transaction") && !is_direct(listen));
        assert!(!is_direct(&format!("pooler=transaction&{listen}")));
    }

    #[test]
    fn what_is_wrong_is_named_with_a_remedy() {
        for (query, expected) in [
            ("shema=x", "`shema`, which is not known: use `schema`"),
            ("schema=Shop", "`schema=Shop`: use 1 to 63 lowercase"),
            ("schema=", "`schema=`: use"),
            ("schema=1a", "no digit"),
            ("max_connections=1", "use a number from 2"),
            ("max_connections=many", "`max_connections=many`"),
            ("pooler=session", "use `pooler=transaction`"),
            ("sslmode=on", "`sslmode=on`: use `disable`"),
            ("port=x", "`port=x`: use a number"),
            ("sslrootcert=%2Fno%2Fsuch%2Ffile", "an `sslrootcert` whose file cannot be read"),
            ("sslkey=-----BEGIN+KEY-----%0A-----END+KEY-----", "an `sslkey` whose file cannot"),
            ("listen_url=x", "`listen_url` that does not begin with `postgres://`"),
            ("pooler=transaction&options=-cjit%3Don", "combines `options`"),
        ] {
            let text = problem(&format!("postgres://db/shop?{query}"));
            assert!(text.contains(expected), "{query}: {text}");
        }
        assert!(problem("postgres://db:port/shop").contains("percent-encode"));
        assert!(problem("postgres://ann:a?b@db/shop").contains("an `@` after a `?`"));
        assert!(Target::read("postgres://db/shop?user=ann%40shop&password=a@b").is_ok());
    }

    #[test]
    fn the_longest_schema_has_63_characters() {
        assert!(is_schema(&"a".repeat(63)) && !is_schema(&"a".repeat(64)));
        assert!(!is_schema("a\"b") && !is_schema("a-b") && is_schema("_a0"));
    }

    #[test]
    fn no_secret_is_shown() {
        for url in [
            "postgres://ann:s3cret@db/shop?x=1",
            "postgres://ann:s3cret@db:x/shop",
            "postgres://db/shop?x=1&password=s3cret",
            "postgres://db/shop?x=1&listen_url=postgres%3A%2F%2Fann%3As3cret%40db",
            "postgres://db/shop?x=1&listen_url=postgres://ann:s3cret@db",
            "postgres://db/shop?x=1&sslkey=-----BEGIN+s3cret-----",
            "postgres://db/shop?sslkey=s3cret",
            "postgres://ann:s3cret?@db/shop",
            "postgres://ann:ab@db/s3cret@db/shop",
            "postgres://ann:ab?s3cret@db/shop",
            "postgres://ann:ab?s3cret&cd@db/shop",
            "postgres://ann:ab?schema=s3cret@db/shop",
            "postgres://ann:x@s3cret@db/shop?x=1",
            "postgres:ann:s3cret@db/shop",
        ] {
            let text = problem(url);
            assert!(
                !text.contains("s3cret") && text.contains("shop") | text.contains("db"),
                "{text}"
            );
        }
        let target = Target::read("postgres://ann:s3cret@db/shop").unwrap();
        assert!(!target.place().contains("s3cret"));
    }
}
