//! Connections: one brand's account on one platform, and what may flow between it and the ledger.

use std::{collections::BTreeSet, fmt, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Serialize};

mod conditions;

pub use conditions::{Conditions, Subject};

use crate::{
    Refusal,
    aggregate::aggregate,
    values::{ConnectionId, Currency, ExternalId, InvalidValue, LocationCode, Market, Object, Quantity},
};

/// Whose wire format a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// A Shopify shop: products, stock and orders, both ways.
    Shopify,
    /// The KicksDB market feed: prices in, nothing out.
    Kicksdb,
    /// A Square seller: stock, catalogue and orders.
    Square,
    /// A Clover merchant: items and orders, of which its webhooks only say that they changed.
    Clover,
    /// A Shopee shop: orders.
    Shopee,
    /// A `TikTok` shop: products and orders, of which its webhooks only say that they changed.
    TiktokShop,
    /// A warehouse behind Trackstar: stock and products.
    Trackstar,
    /// A `WooCommerce` shop: products and orders.
    Woocommerce,
    /// Any sender that speaks Standard Webhooks and our own words.
    Standard,
    /// `TradingView` alerts: signals in, nothing out.
    Tradingview,
}

impl Platform {
    /// Every one there is.
    pub const ALL: [Self; 10] = [
        Self::Shopify,
        Self::Kicksdb,
        Self::Square,
        Self::Clover,
        Self::Shopee,
        Self::TiktokShop,
        Self::Trackstar,
        Self::Woocommerce,
        Self::Standard,
        Self::Tradingview,
    ];

    /// Whether it can be told how many there are to sell.
    pub fn takes_quantities(self) -> bool {
        !matches!(self, Self::Kicksdb | Self::Standard | Self::Tradingview)
    }

    /// The name used in routes, tables and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shopify => "shopify",
            Self::Kicksdb => "kicksdb",
            Self::Square => "square",
            Self::Clover => "clover",
            Self::Shopee => "shopee",
            Self::TiktokShop => "tiktokshop",
            Self::Trackstar => "trackstar",
            Self::Woocommerce => "woocommerce",
            Self::Standard => "standard",
            Self::Tradingview => "tradingview",
        }
    }

    /// Whether each variant is an item of its own there, so that its title is the variant's and not the product's.
    pub fn sells_variants_alone(self) -> bool {
        matches!(self, Self::Clover | Self::Trackstar)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Platform {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::ALL.into_iter().find(|platform| platform.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            InvalidValue::new("Platform", format!("{name:?} is none of {known}"))
        })
    }
}

/// What may flow between a connection and the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SyncRules {
    /// Nothing is pushed while this is off.
    pub realtime_sync_enabled: bool,
    /// New products of the ledger are created on the platform.
    pub propagate_creates: bool,
    /// Changed prices and descriptions are pushed.
    pub propagate_updates: bool,
    /// Archived products are taken off the platform.
    pub propagate_deletes: bool,
    /// Available quantities are pushed.
    pub propagate_inventory: bool,
    /// The platform's own stock figures change the ledger. Off: they are noted, and put right.
    pub accept_inventory: bool,
    /// The platform's own prices change the ledger. Off: only the price a product is first seen with counts.
    pub accept_prices: bool,
    /// A quantity or a price that was changed over there, and that may not change the ledger, is left as it is until somebody
    /// has said which one counts. Off: it is put right.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hold_conflicts: bool,
    /// What is pushed at all; everything, where nothing is said.
    #[serde(deserialize_with = "Object::read", skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// Units kept back from what is published here.
    pub safety_buffer: Quantity,
    /// Of accounts that have something due at the same time, those with more are told first.
    #[serde(skip_serializing_if = "is_zero")]
    pub priority: i64,
}

impl Default for SyncRules {
    /// The ledger is the master: quantities and prices go out, nothing but orders and new products comes in.
    fn default() -> Self {
        Self {
            realtime_sync_enabled: true,
            propagate_creates: false,
            propagate_updates: true,
            propagate_deletes: false,
            propagate_inventory: true,
            accept_inventory: false,
            accept_prices: false,
            hold_conflicts: false,
            conditions: Conditions::default(),
            safety_buffer: Quantity::ZERO,
            priority: 0,
        }
    }
}

/// What a connection is and where it leads; its secrets are kept elsewhere, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionDetails {
    /// Whose wire format it speaks.
    pub platform: Platform,
    /// As the seller calls it.
    pub name: String,
    /// The seller's brand it belongs to.
    pub brand: String,
    /// The platform's name for the account: a shop domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The platform's name for our app, where calls or signatures need it: Shopee's partner id, the app key of `TikTok` Shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Where its API is called: scheme, host and port, without a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The platform's id of the place whose stock is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_location: Option<ExternalId>,
    /// The ledger's location that this account sells from.
    #[serde(default)]
    pub location: LocationCode,
    /// Whose prices it shows.
    #[serde(default)]
    pub market: Market,
    /// What its prices are in.
    pub currency: Currency,
}

/// What has happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionEvent {
    /// The account was made known; nothing is pushed there yet.
    #[serde(rename = "connection.created")]
    Created {
        /// What it is.
        #[serde(flatten)]
        details: ConnectionDetails,
        /// What may flow.
        rules: SyncRules,
    },
    /// Other things may flow from now on.
    #[serde(rename = "connection.rules_changed")]
    RulesChanged {
        /// What may flow.
        rules: SyncRules,
    },
    /// Secrets of the connection were changed. Which ones is told, what they are is not.
    #[serde(rename = "connection.secrets_rotated")]
    SecretsRotated {
        /// What they are called.
        names: Vec<String>,
    },
    /// The connection was switched on: what is true here is shown there.
    #[serde(rename = "connection.enabled")]
    Enabled {},
    /// The connection was switched off: nothing is pushed there. What it has sold is still taken in.
    #[serde(rename = "connection.disabled")]
    Disabled {},
    /// The connection was given a rest: what is owed to it is kept until it goes on.
    #[serde(rename = "connection.paused")]
    Paused {},
    /// The connection went on after a rest.
    #[serde(rename = "connection.resumed")]
    Resumed {},
    /// The platform was in trouble, or lets us in no longer, and is left alone for a while.
    #[serde(rename = "connection.tripped")]
    Tripped {
        /// What stood in the way.
        reason: String,
    },
    /// The platform answered again.
    #[serde(rename = "connection.recovered")]
    Recovered {},
    /// Four fifths of the calls that the platform grants a day were used.
    #[serde(rename = "connection.budget_low")]
    BudgetLow {
        /// Calls a day.
        limit: i64,
    },
    /// What the platform shows was read back and compared with what it is to show.
    #[serde(rename = "connection.reconciled")]
    Reconciled {
        /// Whether what had strayed was only told and left alone.
        preview: bool,
        /// Listings read back.
        checked: i64,
        /// Figures found astray.
        drifted: i64,
        /// Of these, put right or put to somebody.
        repaired: i64,
        /// Listings that are not there.
        missing: i64,
        /// Figures the platform does not tell.
        unknown: i64,
    },
    /// Pushes that had been given up were taken up again.
    #[serde(rename = "connection.pushes_replayed")]
    PushesReplayed {
        /// How many.
        count: i64,
    },
    /// Somebody had listings and products told once more what they are to be.
    #[serde(rename = "connection.sync_requested")]
    SyncRequested {
        /// How many listings.
        listings: i64,
        /// How many products, where any were.
        #[serde(default, skip_serializing_if = "is_zero")]
        products: i64,
    },
    /// How the connection fares has crossed a threshold.
    #[serde(rename = "connection.alert_raised")]
    AlertRaised {
        /// What is amiss: `lag`, `dead_letters`, `error_rate`.
        what: String,
        /// How it stands.
        value: i64,
        /// The threshold.
        limit: i64,
    },
    /// How the connection fares is within bounds again.
    #[serde(rename = "connection.alert_cleared")]
    AlertCleared {
        /// What was amiss.
        what: String,
    },
}

/// What one may ask of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionCommand {
    /// Make it known.
    Create {
        /// What it is.
        details: ConnectionDetails,
        /// What may flow.
        rules: SyncRules,
    },
    /// Let other things flow.
    ChangeRules(SyncRules),
    /// Note that secrets were changed.
    RotateSecrets {
        /// What they are called.
        names: Vec<String>,
    },
    /// Switch it on.
    Enable,
    /// Switch it off.
    Disable,
    /// Give it a rest.
    Pause,
    /// Let it go on.
    Resume,
    /// Note that the platform is left alone.
    Trip {
        /// Why.
        reason: String,
    },
    /// Note that the platform answers again.
    Recover,
    /// Note that four fifths of a day's calls are used.
    NoteBudget {
        /// Calls a day.
        limit: i64,
    },
    /// Note what reading back has come to.
    NoteReconciliation {
        /// Whether what had strayed was left alone.
        preview: bool,
        /// Listings read back.
        checked: i64,
        /// Figures found astray.
        drifted: i64,
        /// Of these, put right or put to somebody.
        repaired: i64,
        /// Listings that are not there.
        missing: i64,
        /// Figures the platform does not tell.
        unknown: i64,
    },
    /// Note that pushes are taken up again.
    NoteReplay {
        /// How many.
        count: i64,
    },
    /// Note that listings and products are told once more.
    NoteSync {
        /// How many listings.
        listings: i64,
        /// How many products.
        products: i64,
    },
    /// Note that a threshold is crossed; nothing happens while it is known already.
    RaiseAlert {
        /// What is amiss.
        what: String,
        /// How it stands.
        value: i64,
        /// The threshold.
        limit: i64,
    },
    /// Note that what was amiss is so no more.
    ClearAlert {
        /// What was amiss.
        what: String,
    },
}

/// A connection as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// None before its creation.
    pub details: Option<ConnectionDetails>,
    /// What may flow.
    pub rules: SyncRules,
    /// True while it is switched on.
    pub enabled: bool,
    /// True while it is given a rest.
    #[serde(default)]
    pub paused: bool,
    /// True while its platform is left alone.
    #[serde(default)]
    pub tripped: bool,
    /// What is amiss at the moment.
    #[serde(default)]
    pub alerts: BTreeSet<String>,
}

impl Connection {
    fn decide(&self, command: ConnectionCommand) -> Result<Vec<ConnectionEvent>, Refusal> {
        match command {
            ConnectionCommand::Create { details, rules } => self.create(details, rules),
            ConnectionCommand::ChangeRules(rules) => {
                self.existing()?;
                rules.conditions.check()?;
                Ok(if self.rules == rules { vec![] } else { vec![ConnectionEvent::RulesChanged { rules }] })
            }
            ConnectionCommand::RotateSecrets { names } if names.is_empty() => Err(Refusal::invalid(
                "connection.invalid",
                "send a webhook_secret, an access_token, a refresh_token or an app_secret",
            )),
            ConnectionCommand::RotateSecrets { names } => {
                self.existing()?;
                Ok(vec![ConnectionEvent::SecretsRotated { names }])
            }
            ConnectionCommand::Enable => self.unless(self.enabled, ConnectionEvent::Enabled {}),
            ConnectionCommand::Disable => self.unless(!self.enabled, ConnectionEvent::Disabled {}),
            ConnectionCommand::Pause => self.unless(self.paused, ConnectionEvent::Paused {}),
            ConnectionCommand::Resume => self.unless(!self.paused, ConnectionEvent::Resumed {}),
            ConnectionCommand::Trip { reason } => {
                self.unless(self.tripped, ConnectionEvent::Tripped { reason })
            }
            ConnectionCommand::Recover => self.unless(!self.tripped, ConnectionEvent::Recovered {}),
            ConnectionCommand::NoteBudget { limit } => {
                self.unless(false, ConnectionEvent::BudgetLow { limit })
            }
            ConnectionCommand::NoteReconciliation {
                preview,
                checked,
                drifted,
                repaired,
                missing,
                unknown,
            } => {
                let event =
                    ConnectionEvent::Reconciled { preview, checked, drifted, repaired, missing, unknown };
                self.unless(false, event)
            }
            ConnectionCommand::NoteReplay { count } => {
                self.unless(count == 0, ConnectionEvent::PushesReplayed { count })
            }
            ConnectionCommand::NoteSync { listings, products } => self.unless(
                listings == 0 && products == 0,
                ConnectionEvent::SyncRequested { listings, products },
            ),
            ConnectionCommand::RaiseAlert { what, value, limit } => {
                let known = self.alerts.contains(&what);
                self.unless(known, ConnectionEvent::AlertRaised { what, value, limit })
            }
            ConnectionCommand::ClearAlert { what } => {
                self.unless(!self.alerts.contains(&what), ConnectionEvent::AlertCleared { what })
            }
        }
    }

    /// The event, unless what it says is so already.
    fn unless(&self, so_already: bool, event: ConnectionEvent) -> Result<Vec<ConnectionEvent>, Refusal> {
        self.existing()?;
        Ok(if so_already { vec![] } else { vec![event] })
    }

    fn create(&self, details: ConnectionDetails, rules: SyncRules) -> Result<Vec<ConnectionEvent>, Refusal> {
        if self.details.is_some() {
            return Err(Refusal::conflict("connection.exists", "there is a connection with this id already"));
        }
        rules.conditions.check()?;
        for (what, text) in [("name", &details.name), ("brand", &details.brand)] {
            if text.trim().is_empty() || text.len() > 200 {
                return Err(Refusal::invalid(
                    "connection.invalid",
                    format!("a connection has a {what} of 1 to 200 characters"),
                ));
            }
        }
        let lacking = match details.platform {
            Platform::Shopify if details.account.is_none() || details.platform_location.is_none() => {
                Some("a Shopify connection needs its account (the shop domain) and its platform_location")
            }
            Platform::TiktokShop if details.app.is_none() => {
                Some("a TikTok Shop connection needs its app (the app key), which its signatures cover")
            }
            _ if !details.endpoint.as_deref().is_none_or(is_endpoint) => {
                Some("the endpoint is https://host or https://host:port; http is for this machine only")
            }
            _ => None,
        };
        if let Some(lacking) = lacking {
            return Err(Refusal::invalid("connection.invalid", lacking));
        }
        Ok(vec![ConnectionEvent::Created { details, rules }])
    }

    fn existing(&self) -> Result<&ConnectionDetails, Refusal> {
        self.details
            .as_ref()
            .ok_or_else(|| Refusal::missing("connection.unknown", "there is no connection with this id"))
    }

    /// Takes a fact.
    #[must_use]
    pub fn evolve(mut self, event: ConnectionEvent) -> Self {
        match event {
            ConnectionEvent::Created { details, rules } => {
                self.details = Some(details);
                self.rules = rules;
            }
            ConnectionEvent::RulesChanged { rules } => self.rules = rules,
            ConnectionEvent::SecretsRotated { .. }
            | ConnectionEvent::BudgetLow { .. }
            | ConnectionEvent::Reconciled { .. }
            | ConnectionEvent::PushesReplayed { .. }
            | ConnectionEvent::SyncRequested { .. } => {}
            ConnectionEvent::AlertRaised { what, .. } => {
                self.alerts.insert(what);
            }
            ConnectionEvent::AlertCleared { what } => {
                self.alerts.remove(&what);
            }
            ConnectionEvent::Enabled {} => self.enabled = true,
            ConnectionEvent::Disabled {} => self.enabled = false,
            ConnectionEvent::Paused {} => self.paused = true,
            ConnectionEvent::Resumed {} => self.paused = false,
            ConnectionEvent::Tripped { .. } => self.tripped = true,
            ConnectionEvent::Recovered {} => self.tripped = false,
        }
        self
    }
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// Scheme, host and port. A token is not sent in the clear but to this very machine.
fn is_endpoint(url: &str) -> bool {
    let Some((scheme, place)) = url.split_once("://") else { return false };
    let (host, port) = match place.rsplit_once(':') {
        // Within brackets a colon belongs to the host.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let is_safe = match scheme {
        "https" => is_host(host),
        "http" => ["127.0.0.1", "localhost", "[::1]"].contains(&host),
        _ => false,
    };
    is_safe && port.is_none_or(is_port)
}

/// A name or an address; one of IPv6 stands in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let foreign = |c: char| c.is_whitespace() || c.is_control() || r"/\?#@:%<>[]^|".contains(c);
            !host.is_empty() && !host.contains(foreign)
        }
    }
}

fn is_port(port: &str) -> bool {
    // A number may have a sign, a port has none.
    port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

aggregate!(Connection, ConnectionId, ConnectionEvent, ConnectionCommand, Refusal);

#[cfg(test)]
mod tests;
