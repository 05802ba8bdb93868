//! A stand-in of each platform that is pushed to, held in the same way whatever it is.
//!
//! Six of them share one sandbox and Shopify has a shop of its own; the tests are not to know.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use onhand_domain::{
    connection::{ConnectionDetails, Platform},
    product::Words,
    values::{ConnectionId, Currency, ExternalId, LocationCode, Market, Money},
};
use uuid::Uuid;

use super::super::SECRET;
use crate::{
    clock::Clock,
    platforms::{
        outbound::{
            Account, Api, CallError, Handle, Offered, Outbound, Outcome, PriceAsk, ProductAsk, QuantityAsk,
            Shown, outbound_of,
        },
        sandbox::{Faults, Sandbox, Settings, wire_of},
        shopify::sandbox::{CostBucket, SandboxShop, SeedProduct, SeedVariant, ShopSettings},
    },
    secrets::Secret,
};

/// With a colon in it, as the pair of keys has that `WooCommerce` gives out; to the others it is a token like any.
pub(super) const TOKEN: &str = "ck_stand:cs_stand";
/// Another one, which no stand-in takes.
pub(super) const OTHER_TOKEN: &str = "ck_other:cs_other";
/// The secret of our app.
pub(super) const APP_SECRET: &str = "secret-of-our-app";
/// Of the Shopify shop, whose stand-in wants to be told.
const DOMAIN: &str = "quay-side.myshopify.com";
const API_VERSION: &str = "2026-04";
const LOCATION: u64 = 31;
/// What Shopify's stand-in tells of; the others tell everything under one name.
const TOPICS: [&str; 6] = [
    "products/create",
    "products/update",
    "products/delete",
    "inventory_levels/update",
    "orders/create",
    "orders/cancelled",
];

/// A running stand-in, and our side of the line to it.
pub(super) struct Stand {
    pub(super) platform: Platform,
    pub(super) outbound: &'static dyn Outbound,
    pub(super) clock: Clock,
    pub(super) api: Api,
    http: reqwest::Client,
    shop: Shop,
}

enum Shop {
    Own(SandboxShop),
    Shared(Sandbox),
}

/// The platforms that are pushed to.
pub(super) fn pushed() -> impl Iterator<Item = Platform> {
    Platform::ALL.into_iter().filter(|platform| outbound_of(*platform).is_some())
}

/// A stand-in of every platform, with three goods: a product of two sizes, and one that is sold as it is, which some of
/// them know by a SKU that is its title and names no size.
pub(super) async fn stands() -> Vec<Stand> {
    let mut stands = vec![];
    for platform in pushed() {
        let stand = Stand::bare(platform).await;
        stand.seed("Runner", &[("RUN-41", 12_000, 5), ("RUN-42", 12_500, 5)]);
        stand.seed("WALKER", &[("WALKER", 8_950, 5)]);
        stands.push(stand);
    }
    stands
}

/// An amount in the currency of all stand-ins.
pub(super) fn money(minor: i64) -> Money {
    Money::new(minor, usd()).expect("an amount")
}

fn usd() -> Currency {
    Currency::new("USD").expect("a currency")
}

pub(super) fn id(text: &str) -> ExternalId {
    ExternalId::new(text).expect("an id")
}

fn client() -> reqwest::Client {
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.timeout(Duration::from_secs(10)).build().expect("a client")
}

impl Shop {
    async fn open(platform: Platform, clock: &Clock) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        if let Some(wire) = wire_of(platform) {
            let settings = Settings {
                access_token: TOKEN.to_owned(),
                app_secret: APP_SECRET.to_owned(),
                webhook_secret: SECRET.to_owned(),
                ..Settings::new(clock.clone())
            };
            return Self::Shared(Sandbox::open(wire, settings, listen).await.expect("a free port"));
        }
        let settings = ShopSettings {
            domain: DOMAIN.to_owned(),
            access_token: TOKEN.to_owned(),
            webhook_secret: SECRET.to_owned(),
            api_version: API_VERSION.to_owned(),
            location_id: LOCATION,
            // What it costs to ask is tested where it is counted.
            bucket: CostBucket { maximum_available: 1e6, restore_rate: 1e6 },
        };
        Self::Own(SandboxShop::start(settings, listen).await.expect("a free port"))
    }

    fn account(&self, platform: Platform) -> Account {
        let (endpoint, account, app, location, refresh_token) = match self {
            Self::Own(shop) => {
                (shop.base_url(), DOMAIN.to_owned(), "app-1".to_owned(), LOCATION.to_string(), None)
            }
            Self::Shared(shop) => {
                let Settings { account, app, location, refresh_token, .. } = shop.settings();
                (shop.endpoint(), account, app, location, Some(Secret::new(refresh_token)))
            }
        };
        let details = ConnectionDetails {
            platform,
            name: "Quay Side".to_owned(),
            brand: "Quay".to_owned(),
            account: Some(account),
            app: Some(app),
            endpoint: Some(endpoint.clone()),
            platform_location: Some(id(&location)),
            location: LocationCode::default(),
            market: Market::default(),
            currency: usd(),
        };
        Account {
            connection: ConnectionId(Uuid::from_u128(1)),
            details,
            endpoint,
            access_token: Some(Secret::new(TOKEN)),
            refresh_token,
            app_secret: Some(Secret::new(APP_SECRET)),
            webhook_secrets: vec![Secret::new(SECRET)],
            api_version: match self {
                Self::Own(_) => API_VERSION.to_owned(),
                Self::Shared(_) => String::new(),
            },
        }
    }
}

impl Stand {
    /// A stand-in with nothing in it.
    pub(super) async fn bare(platform: Platform) -> Self {
        let outbound = outbound_of(platform).expect("the platform is pushed to");
        let (clock, http) = (Clock::default(), client());
        let shop = Shop::open(platform, &clock).await;
        let api = Api::new(http.clone(), clock.clone(), shop.account(platform), None);
        Self { platform, outbound, clock, api, http, shop }
    }

    /// Our side with something else about the account.
    pub(super) fn api_with(&self, change: impl FnOnce(&mut Account)) -> Api {
        let mut account = self.shop.account(self.platform);
        change(&mut account);
        Api::new(self.http.clone(), self.clock.clone(), account, None)
    }

    /// Our side, calling somewhere else.
    pub(super) fn api_at(&self, endpoint: &str) -> Api {
        self.api_with(|account| {
            endpoint.clone_into(&mut account.endpoint);
            account.details.endpoint = Some(endpoint.to_owned());
        })
    }

    /// The sandbox that most share; none for Shopify.
    pub(super) fn sandbox(&self) -> Option<&Sandbox> {
        match &self.shop {
            Shop::Own(_) => None,
            Shop::Shared(shop) => Some(shop),
        }
    }

    /// Whether prices can be set there at all; where not, every ask is answered with never.
    pub(super) fn takes_prices(&self) -> bool {
        self.platform != Platform::Trackstar
    }

    /// The most units that its stand-in shows, as far as this is less than anybody asks for here.
    pub(super) fn quantity_max(&self) -> i64 {
        if self.platform == Platform::TiktokShop { 99_999 } else { i64::MAX }
    }

    pub(super) fn faults(&self) -> Faults {
        match &self.shop {
            Shop::Own(shop) => shop.faults(),
            Shop::Shared(shop) => shop.faults(),
        }
    }

    /// Requests to its API.
    pub(super) fn calls_made(&self) -> u64 {
        match &self.shop {
            Shop::Own(shop) => {
                let calls = shop.calls();
                calls.graphql.values().sum::<u64>() + calls.throttled
            }
            Shop::Shared(shop) => shop.calls().made,
        }
    }

    /// Enters a product: SKU, price in minor units and quantity of each variant.
    pub(super) fn seed(&self, title: &str, variants: &[(&str, i64, i64)]) {
        match &self.shop {
            Shop::Own(shop) => {
                let variant = |(sku, price, quantity): &(&str, i64, i64)| SeedVariant {
                    sku: (*sku).to_owned(),
                    option1: (*sku).to_owned(),
                    price: money(*price).to_decimal(),
                    quantity: *quantity,
                };
                let variants = variants.iter().map(variant).collect();
                shop.seed(SeedProduct { title: title.to_owned(), variants, ..SeedProduct::default() });
            }
            Shop::Shared(shop) => {
                shop.seed(title, variants);
            }
        }
    }

    /// Has everything that happens from now on told to an address.
    pub(super) fn listen(&self, url: &str) {
        match &self.shop {
            Shop::Own(shop) => {
                for topic in TOPICS {
                    assert!(shop.subscribe(topic, url), "{topic} is told");
                }
            }
            Shop::Shared(shop) => shop.subscribe("*", url),
        }
    }

    /// Waits until all that was to be told is told.
    pub(super) async fn webhooks_idle(&self) {
        match &self.shop {
            Shop::Own(shop) => shop.webhooks_idle().await,
            Shop::Shared(shop) => shop.webhooks_idle().await,
        }
    }

    /// A merchant deletes the product that has a SKU.
    pub(super) async fn remove(&self, sku: &str) {
        let removed = match &self.shop {
            Shop::Own(shop) => match shop.shows().into_iter().find(|shown| shown.sku == sku) {
                Some(shown) => shop.delete_product(shown.product_id).await,
                None => false,
            },
            Shop::Shared(shop) => {
                let good = shop.goods().into_iter().find(|good| good.sku == sku);
                good.is_some_and(|good| shop.remove(&good.product))
            }
        };
        assert!(removed, "{}: {sku} is there to be removed", self.platform);
    }

    /// What is there, in the order seeded: the ids it is known by, and its SKU.
    pub(super) fn goods(&self) -> Vec<(Handle, String)> {
        match &self.shop {
            Shop::Own(shop) => {
                let shown = shop.shows().into_iter().map(|shown| {
                    let inventory = Some(shown.inventory_item_id.into());
                    let (product, variant) = (shown.product_id.into(), shown.variant_id.into());
                    (Handle { product, variant, inventory }, shown.sku)
                });
                shown.collect()
            }
            Shop::Shared(shop) => {
                let goods = shop.goods().into_iter().map(|good| {
                    let (product, variant, inventory) = shop.handle(&good);
                    let inventory = inventory.as_deref().map(id);
                    (Handle { product: id(&product), variant: id(&variant), inventory }, good.sku)
                });
                goods.collect()
            }
        }
    }

    pub(super) fn handles(&self) -> Vec<Handle> {
        self.goods().into_iter().map(|(handle, _)| handle).collect()
    }

    /// What customers see by SKU: the quantity, and the price in minor units.
    pub(super) fn all_shown(&self) -> BTreeMap<String, (i64, i64)> {
        match &self.shop {
            Shop::Own(shop) => {
                let shown = shop.shows().into_iter().map(|shown| {
                    let price = Money::parse(&shown.price, usd()).expect("the shop shows an amount");
                    (shown.sku, (shown.available, price.minor))
                });
                shown.collect()
            }
            Shop::Shared(shop) => shop.shows(),
        }
    }

    /// The same of one.
    pub(super) fn shows(&self, sku: &str) -> (i64, i64) {
        let shown = self.all_shown().get(sku).copied();
        shown.unwrap_or_else(|| panic!("{}: {sku} is there", self.platform))
    }

    /// The quantities shown, in the order seeded.
    pub(super) fn quantities(&self) -> Vec<i64> {
        let shown = self.all_shown();
        self.goods().iter().map(|(_, sku)| shown[sku].0).collect()
    }

    /// The prices shown, in the order seeded.
    pub(super) fn prices(&self) -> Vec<i64> {
        let shown = self.all_shown();
        self.goods().iter().map(|(_, sku)| shown[sku].1).collect()
    }

    pub(super) async fn set(&self, asks: &[QuantityAsk], key: u128) -> Vec<Outcome<i64>> {
        self.outbound.set_quantities(&self.api, asks, Uuid::from_u128(key)).await
    }

    pub(super) async fn price(&self, asks: &[PriceAsk], key: u128) -> Vec<Outcome<Money>> {
        self.outbound.set_prices(&self.api, asks, Uuid::from_u128(key)).await
    }

    pub(super) async fn read(&self, handles: &[Handle]) -> Vec<Result<Shown, CallError>> {
        self.outbound.read(&self.api, handles).await
    }

    pub(super) async fn offer(&self, ask: &ProductAsk, key: u128) -> Result<Offered, CallError> {
        self.outbound.offer(&self.api, ask, Uuid::from_u128(key)).await
    }

    pub(super) async fn describe(&self, ask: &ProductAsk, key: u128) -> Result<Words, CallError> {
        self.outbound.describe(&self.api, ask, Uuid::from_u128(key)).await
    }

    pub(super) async fn take_off(&self, handles: &[Handle], key: u128) -> Result<(), CallError> {
        self.outbound.take_off(&self.api, handles, Uuid::from_u128(key)).await
    }
}
