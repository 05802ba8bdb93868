//! Every variable: its name, what it means, its default. All mistakes are reported at once.

use std::{
    cell::RefCell, collections::BTreeSet, env, ffi::OsString, fmt::Display, net::SocketAddr, time::Duration,
};

use chrono::TimeDelta;
use reqwest::Url;
use sqlx::postgres::PgConnectOptions;

use crate::{oidc::OidcSettings, secrets::KeyRing};

/// How long a reservation holds if the caller does not say.
pub const RESERVATION_TTL: &str = "STOCK_RESERVATION_TTL_MINUTES";
const PUBLIC_URL: &str = "ONHAND_PUBLIC_URL";
const OIDC_ISSUER: &str = "ONHAND_OIDC_ISSUER";
const OIDC_AUDIENCE: &str = "ONHAND_OIDC_AUDIENCE";

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// `DATABASE_URL`: the database to use. Unset: a Postgres of our own (`ONHAND_DATA_DIR` says where).
    pub database_url: Option<String>,
    /// `ONHAND_PUBLIC_URL`: where platforms reach this server. Unset: no webhooks are subscribed to.
    pub public_url: Option<String>,
    /// `ONHAND_LISTEN`: where HTTP is answered. Default `127.0.0.1:7070`.
    pub listen: SocketAddr,
    /// The same, if it is set: there a process without the role `api` says how it is.
    pub listen_given: Option<SocketAddr>,
    /// `ONHAND_DATABASE_CONNECTIONS`: the size of the pool. Default 16.
    pub database_connections: u32,
    /// `ONHAND_MASTER_KEYS`: `id:base64[,id:base64…]`, the first seals. Unset: a key file in the data folder.
    pub master_keys: Option<KeyRing>,
    /// `ONHAND_OIDC_ISSUER` and `ONHAND_OIDC_AUDIENCE`: whose access tokens are taken. Unset: API keys only.
    pub oidc: Option<OidcSettings>,
    /// `STOCK_RESERVATION_TTL_MINUTES`: default 15, from 1 to 1,440.
    pub reservation_ttl: Duration,
    /// `ONHAND_STATES_MB`: what the states of streams may take in memory, all tenants together. Default 512.
    pub states_bytes: usize,
    /// `ONHAND_SHOPIFY_API_VERSION`: default `2026-04`.
    pub shopify_api_version: String,
    /// `ONHAND_WEBHOOK_RATE_PER_MINUTE`: webhooks let in for each connection. Default 100, from 1 to 10,000,000.
    pub webhook_rate: u32,
    /// `ONHAND_WEBHOOK_TRACES`: `off` stops noting how each webhook fared. Default `on`.
    pub webhook_traces: bool,
    /// `ONHAND_RECONCILE_EVERY_HOURS`: how often what a platform shows is read back and compared. Default 24, from 1 to 8,760.
    pub reconcile_every: Duration,
    /// For how long is kept what is only kept for a while.
    pub retention: Retention,
    /// `ONHAND_ENVIRONMENT`: `development` opens `/test/webhook`. Default `production`.
    pub development: bool,
    /// `SKIP_WEBHOOK_SIGNATURE_VALIDATION`: `true` lets every webhook in; in development only.
    pub skip_signatures: bool,
}

/// For how long is kept what is only kept for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `ONHAND_KEEP_OUTBOX_DAYS`: commands to platforms that are over, unless they were given up. Default 7, from 1 to
    /// 3,650.
    pub outbox: TimeDelta,
    /// `ONHAND_KEEP_BODIES_DAYS`: the bytes of webhooks that were acted on. Default 90, from 1 to 3,650.
    pub bodies: TimeDelta,
    /// `ONHAND_KEEP_METRICS_DAYS`: how webhooks fared. Default 30, from 1 to 3,650.
    pub metrics: TimeDelta,
    /// `ONHAND_KEEP_KEYS_HOURS`: what requests with a key were answered. Default 24, from 24 to 8,760: callers count on a
    /// day.
    pub keys: TimeDelta,
    /// `ONHAND_KEEP_RUNS_DAYS`: reconciliations and rebuilds that have ended. Default 90, from 1 to 3,650.
    pub runs: TimeDelta,
}

impl Default for Retention {
    fn default() -> Self {
        Self::read(&|_| None, &mut Vec::new())
    }
}

impl Retention {
    fn read(find: &impl Fn(&str) -> Option<String>, mistakes: &mut Vec<String>) -> Self {
        let mut days =
            |name, default| TimeDelta::days(number(find, name, default, 1..=3_650, mistakes).cast_signed());
        let (outbox, bodies) = (days("ONHAND_KEEP_OUTBOX_DAYS", 7), days("ONHAND_KEEP_BODIES_DAYS", 90));
        let (metrics, runs) = (days("ONHAND_KEEP_METRICS_DAYS", 30), days("ONHAND_KEEP_RUNS_DAYS", 90));
        let keys = number(find, "ONHAND_KEEP_KEYS_HOURS", 24, 24..=8_760, mistakes).cast_signed();
        Self { outbox, bodies, metrics, keys: TimeDelta::hours(keys), runs }
    }
}

/// What is wrong with the settings, all of it.
#[derive(Debug, thiserror::Error)]
#[error("the settings cannot be used:\n  - {}", .0.join("\n  - "))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads the environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| env::var_os(name))
    }

    /// What cannot be read is no reason to go on as if it was not there: there may be another database without it.
    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let unreadable = RefCell::new(BTreeSet::new());
        let read = Self::read(|name| match variable(name)?.into_string() {
            Ok(value) => Some(value).filter(|value| !value.is_empty()),
            Err(_) => {
                unreadable.borrow_mut().insert(format!("{name} is not UTF-8"));
                None
            }
        });
        let mut mistakes: Vec<String> = unreadable.into_inner().into_iter().collect();
        match read {
            Ok(config) if mistakes.is_empty() => Ok(config),
            Ok(_) => Err(ConfigError(mistakes)),
            Err(ConfigError(others)) => {
                mistakes.extend(others);
                Err(ConfigError(mistakes))
            }
        }
    }

    fn read(find: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut mistakes = Vec::new();
        if find("FEATURE_MONITOR_UPDATES_STOCK").is_some_and(|value| value != "false") {
            mistakes.push(
                "FEATURE_MONITOR_UPDATES_STOCK is locked to false: a market feed never writes stock; unset it".into(),
            );
        }
        let database_url = parsed(&find, "DATABASE_URL", database_url, &mut mistakes);
        let public_url = parsed(&find, PUBLIC_URL, public_url, &mut mistakes);
        let master_keys = parsed(&find, "ONHAND_MASTER_KEYS", KeyRing::parse, &mut mistakes);
        let oidc = oidc(&find, &mut mistakes);
        let shopify = parsed(&find, "ONHAND_SHOPIFY_API_VERSION", shopify_version, &mut mistakes);
        let minutes = number(&find, RESERVATION_TTL, 15, 1..=1_440, &mut mistakes);
        let connections = number(&find, "ONHAND_DATABASE_CONNECTIONS", 16, 4..=500, &mut mistakes);
        let states = number(&find, "ONHAND_STATES_MB", 512, 16..=1_000_000, &mut mistakes);
        let rate = number(&find, "ONHAND_WEBHOOK_RATE_PER_MINUTE", 100, 1..=10_000_000, &mut mistakes);
        let reconcile = number(&find, "ONHAND_RECONCILE_EVERY_HOURS", 24, 1..=8_760, &mut mistakes);
        let retention = Retention::read(&find, &mut mistakes);
        let traces = choice(&find, "ONHAND_WEBHOOK_TRACES", ["on", "off"], &mut mistakes);
        let production = choice(&find, "ONHAND_ENVIRONMENT", ["production", "development"], &mut mistakes);
        let checked = choice(&find, "SKIP_WEBHOOK_SIGNATURE_VALIDATION", ["false", "true"], &mut mistakes);
        if production && !checked {
            mistakes.push(
                "SKIP_WEBHOOK_SIGNATURE_VALIDATION is for development; set ONHAND_ENVIRONMENT=development, or unset it".into(),
            );
        }
        let given = find("ONHAND_LISTEN");
        let listen = given.clone().unwrap_or_else(|| "127.0.0.1:7070".into());
        let listen = listen.parse().map_err(|_| {
            mistakes.push(format!(
                "ONHAND_LISTEN is {listen:?}; it must be an address and a port, 127.0.0.1:7070"
            ));
        });
        match listen {
            Ok(listen) if mistakes.is_empty() => Ok(Self {
                database_url,
                public_url,
                listen,
                listen_given: given.map(|_| listen),
                database_connections: connections as u32,
                master_keys,
                oidc,
                reservation_ttl: Duration::from_secs(minutes * 60),
                states_bytes: states as usize * 1_000_000,
                shopify_api_version: shopify.unwrap_or_else(|| "2026-04".into()),
                webhook_rate: rate as u32,
                webhook_traces: traces,
                reconcile_every: Duration::from_hours(reconcile),
                retention,
                development: !production,
                skip_signatures: !checked,
            }),
            _ => Err(ConfigError(mistakes)),
        }
    }
}

/// An address that platforms can be given: what they call lies below it.
pub fn public_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let is_served = ["http", "https"].contains(&url.scheme()) && url.has_host();
    if is_served && url.query().is_none() && url.fragment().is_none() {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err("it must begin with http:// or https://, name a host, and have neither ? nor #".to_owned())
}

/// A URL may hold a password: no message quotes it.
fn database_url(text: &str) -> Result<String, String> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err("it must begin with postgres:// or postgresql://".to_owned());
    }
    let options = text.parse::<PgConnectOptions>();
    options.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The two say something together only.
fn oidc(find: &impl Fn(&str) -> Option<String>, mistakes: &mut Vec<String>) -> Option<OidcSettings> {
    match (find(OIDC_ISSUER), find(OIDC_AUDIENCE)) {
        (None, None) => None,
        // Tokens that are meant for nobody would be meant for this server.
        (Some(_), Some(audience)) if audience.trim().is_empty() => {
            mistakes.push(format!("{OIDC_AUDIENCE} is blank; it must be what tokens call this server"));
            None
        }
        (Some(issuer), Some(audience)) => OidcSettings::new(issuer.trim(), audience.trim())
            .map_err(|why| mistakes.push(format!("{OIDC_ISSUER} cannot be used: {why}")))
            .ok(),
        _ => {
            mistakes.push(format!("{OIDC_ISSUER} and {OIDC_AUDIENCE} go together; set both, or unset both"));
            None
        }
    }
}

/// Shopify names its versions by the month they come with, and the one to come `unstable`.
fn shopify_version(text: &str) -> Result<String, String> {
    let is_number = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
    let is_month =
        text.split_once('-').is_some_and(|(year, month)| is_number(year, 4) && is_number(month, 2));
    let wrong = || format!("{text:?} is no version; it must be a month, 2026-04, or unstable");
    (is_month || text == "unstable").then(|| text.to_owned()).ok_or_else(wrong)
}

fn parsed<T, E: Display>(
    find: &impl Fn(&str) -> Option<String>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, E>,
    mistakes: &mut Vec<String>,
) -> Option<T> {
    let text = find(name)?;
    parse(text.trim()).map_err(|why| mistakes.push(format!("{name} cannot be used: {why}"))).ok()
}

/// True for the first of two values, which is the default.
fn choice(
    find: &impl Fn(&str) -> Option<String>,
    name: &str,
    [usual, other]: [&str; 2],
    mistakes: &mut Vec<String>,
) -> bool {
    match find(name) {
        Some(value) if value == other => false,
        Some(value) if value != usual => {
            mistakes.push(format!("{name} is {value:?}; it must be {usual} or {other}"));
            true
        }
        _ => true,
    }
}

fn number(
    find: &impl Fn(&str) -> Option<String>,
    name: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
    mistakes: &mut Vec<String>,
) -> u64 {
    let Some(text) = find(name) else { return default };
    match text.parse() {
        Ok(number) if range.contains(&number) => number,
        _ => {
            mistakes.push(format!(
                "{name} is {text:?}; it must be from {} to {}",
                range.start(),
                range.end()
            ));
            default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_variable_the_defaults_hold() {
        let config = Config::read(|_| None).expect("defaults are valid");
        assert_eq!(config.reservation_ttl, Duration::from_secs(900));
        assert!(!config.development && !config.skip_signatures && config.webhook_traces);
        assert_eq!(config.retention, Retention::default());
        assert_eq!(config.retention.keys, TimeDelta::hours(24));
        assert_eq!((config.listen.port(), config.listen_given), (7070, None));
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_cannot_be_read_is_a_mistake_and_not_unset() {
        use std::os::unix::ffi::OsStringExt;

        let variable = |name: &str| match name {
            "DATABASE_URL" => Some(OsString::from_vec(b"postgres://u:p\xe4ss@127.0.0.1/x".to_vec())),
            "ONHAND_STATES_MB" => Some("many".into()),
            "ONHAND_LISTEN" => Some(OsString::new()),
            _ => None,
        };
        let ConfigError(mistakes) = Config::from_variables(variable).expect_err("it cannot be read");
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert_eq!(mistakes[0], "DATABASE_URL is not UTF-8");
        assert!(Config::from_variables(|_| None).is_ok());
    }

    #[test]
    fn an_address_that_is_given_is_told_from_the_default_though_it_is_the_same() {
        let find = |name: &str| (name == "ONHAND_LISTEN").then(|| "127.0.0.1:7070".to_owned());
        let config = Config::read(find).expect("it is an address");
        assert_eq!(config.listen_given, Some(config.listen));
    }

    #[test]
    fn callers_count_on_their_keys_for_a_day() {
        let short = |name: &str| (name == "ONHAND_KEEP_KEYS_HOURS").then(|| "23".to_owned());
        let ConfigError(mistakes) = Config::read(short).expect_err("a day was promised");
        assert!(mistakes[0].contains("ONHAND_KEEP_KEYS_HOURS"), "{mistakes:?}");
        let longer = |name: &str| (name == "ONHAND_KEEP_KEYS_HOURS").then(|| "48".to_owned());
        let config = Config::read(longer).expect("longer is no harm");
        assert_eq!(config.retention.keys, TimeDelta::days(2));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let wrong = |name: &str| Some(if name == "ONHAND_LISTEN" { "here" } else { "true" }.to_owned());
        let ConfigError(mistakes) = Config::read(wrong).expect_err("all of it is wrong");
        assert_eq!(mistakes.len(), 20, "{mistakes:?}");
    }

    #[test]
    fn an_issuer_without_an_audience_says_nothing_and_the_other_way_round() {
        for (name, value) in [(OIDC_ISSUER, "https://id.example"), (OIDC_AUDIENCE, "onhand")] {
            let find = |asked: &str| (asked == name).then(|| value.to_owned());
            let ConfigError(mistakes) = Config::read(find).expect_err(name);
            assert!(mistakes[0].contains(OIDC_ISSUER) && mistakes[0].contains(OIDC_AUDIENCE), "{mistakes:?}");
        }
        let find = |asked: &str| match asked {
            OIDC_ISSUER => Some("https://id.example/realms/shop".to_owned()),
            OIDC_AUDIENCE => Some("onhand".to_owned()),
            _ => None,
        };
        let oidc = Config::read(find).expect("both are there").oidc.expect("tokens are taken");
        assert_eq!(oidc.issuer, "https://id.example/realms/shop");
        assert_eq!(oidc.audience, "onhand");
    }

    #[test]
    fn an_audience_is_not_blank() {
        let find = |asked: &str| match asked {
            OIDC_ISSUER => Some("https://id.example".to_owned()),
            OIDC_AUDIENCE => Some("  ".to_owned()),
            _ => None,
        };
        let ConfigError(mistakes) = Config::read(find).expect_err("nobody is called that");
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(OIDC_AUDIENCE), "{mistakes:?}");
    }

    #[test]
    fn a_public_url_is_one_that_a_platform_can_be_given() {
        for wrong in ["notaurl", "ftp://shop.example", "https://", "https://shop.example/?a=b", "mailto:a@b"]
        {
            let find = |name: &str| (name == PUBLIC_URL).then(|| wrong.to_owned());
            let ConfigError(mistakes) = Config::read(find).expect_err(wrong);
            assert!(mistakes[0].starts_with(PUBLIC_URL), "{mistakes:?}");
        }
        let find = |name: &str| (name == PUBLIC_URL).then(|| "https://shop.example:8443/onhand/".to_owned());
        let config = Config::read(find).expect("it can be reached");
        assert_eq!(config.public_url.as_deref(), Some("https://shop.example:8443/onhand"));
    }

    #[test]
    fn what_is_wrong_with_the_database_s_url_is_told_without_its_password() {
        for wrong in ["mysql://me:hush@db/onhand", "postgres://me:hush@db:port/onhand"] {
            let find = |name: &str| (name == "DATABASE_URL").then(|| wrong.to_owned());
            let ConfigError(mistakes) = Config::read(find).expect_err(wrong);
            assert!(mistakes[0].starts_with("DATABASE_URL") && !mistakes[0].contains("hush"), "{mistakes:?}");
        }
    }

    #[test]
    fn versions_of_shopify_s_api_are_months() {
        for (text, is_one) in [("2026-04", true), ("unstable", true), ("zzz", false), ("2026-4", false)] {
            assert_eq!(shopify_version(text).is_ok(), is_one, "{text}");
        }
    }
}
