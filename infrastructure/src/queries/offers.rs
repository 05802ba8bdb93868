//! Offers: what products are to be on connections, what they are there, and what has to be done about it.

use std::collections::{BTreeMap, HashMap, HashSet};

use onhand_domain::{
    connection::{Platform, Subject, SyncRules},
    product::{ProductDetails, Word, Words},
    values::{ConnectionId, ExternalId, ListingId, Money, OfferId, ProductId, Sku, TenantId, VariantId},
};
use serde::Deserialize;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

use super::listings::ListingFilter;
use crate::platforms::outbound::{Handle, ProductAsk, Skills, VariantAsk, outbound_of};

/// Why a product stays where it is though it has left the catalogue.
const SHARED: &str = "the platform's product holds others of yours as well, which would go with it: take the variants of this one \
                      out of it by hand";

/// What has to be done about an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Some of its variants are to be made.
    Offer(Box<Offering>),
    /// It is to be described.
    Describe(ProductAsk),
    /// It is to be taken off: these are its listings.
    TakeOff(Vec<(ListingId, Handle)>),
    /// It cannot be done without doing it to others: why.
    Never(&'static str),
}

impl Due {
    /// Whether something that is there is described by it.
    pub fn says_words(&self) -> bool {
        match self {
            Self::Describe(_) => true,
            Self::Offer(offering) => offering.described.is_some(),
            Self::Nothing | Self::TakeOff(_) | Self::Never(_) => false,
        }
    }
}

/// What is to be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offering {
    /// As the platform is told of it.
    pub ask: ProductAsk,
    /// Which of ours each of its variants is, in order.
    pub variants: Vec<VariantId>,
    /// Whether some of it is there already.
    pub is_there: bool,
    /// What is there already, if it is to be described: being offered it is not.
    pub described: Option<ProductAsk>,
    /// Whether what is found, instead of being made, may be described.
    pub may_describe: bool,
}

/// A product as it is to be on a connection, and as it is believed to be there.
#[derive(Debug, Clone)]
pub struct OfferTarget {
    /// Which connection's.
    pub connection: ConnectionId,
    /// Which product.
    pub product: ProductId,
    /// What is to describe it.
    pub words: Words,
    /// What is known of how it stands there.
    known: Known,
    /// The brand that owns the product.
    brand: Option<String>,
    tags: Vec<String>,
    archived: bool,
    /// Whether the connection is switched on, and of the product's brand where that counts.
    open: bool,
    /// What can be done there at all, and what the rules let out of it.
    skills: Skills,
    may: Skills,
    rules: SyncRules,
    /// Which words its platform can be told.
    tells: &'static [Word],
    /// Whether its platform takes prices.
    prices: bool,
    /// Whether each variant is a product by itself there.
    alone: bool,
    /// Whether others of ours are in the same product there.
    shared: bool,
    variants: Vec<Variant>,
    /// Those that are there first.
    listings: Vec<Listed>,
}

/// An offer as it is kept in the table of products.
#[derive(Debug, Clone, Default, Deserialize)]
struct Known {
    /// Rows of the release before have another name for it.
    #[serde(default, alias = "pushed")]
    settled: Option<Words>,
    #[serde(default)]
    shown: Option<Words>,
    #[serde(default)]
    taken_off: bool,
    #[serde(default)]
    is_awaited: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Variant {
    id: VariantId,
    sku: Sku,
    attributes: BTreeMap<String, String>,
    /// In the connection's market and currency.
    price: Option<Money>,
}

#[derive(Debug, Clone, Deserialize)]
struct Listed {
    id: ListingId,
    variant: VariantId,
    external_product: ExternalId,
    external_variant: ExternalId,
    external_inventory: Option<ExternalId>,
    removed: bool,
    taken_off: bool,
}

impl Listed {
    fn handle(&self) -> Handle {
        Handle {
            product: self.external_product.clone(),
            variant: self.external_variant.clone(),
            inventory: self.external_inventory.clone(),
        }
    }
}

impl OfferTarget {
    /// What other rules would let out.
    pub fn judge_by(&mut self, rules: &SyncRules) {
        self.may = self.skills.under(rules);
        self.rules = rules.clone();
    }

    /// What has to be done.
    ///
    /// Words are changed there one by one: those in which ours are others than those as of which what is shown is in order, and
    /// all of them if that was `asked` for. What became of the last ones may not be known (`unheard`): then they are said again.
    pub fn due(&self, asked: bool, unheard: bool) -> Due {
        if !self.open {
            return Due::Nothing;
        }
        if self.archived {
            return if self.may.takes_off { self.leaving() } else { Due::Nothing };
        }
        let owes = asked || self.owes_words() || (unheard && self.known.settled.is_some());
        let described = self.describing(asked, unheard).filter(|_| owes);
        if self.may.offers
            && let Some((ask, variants)) = self.offering()
        {
            let (is_there, may_describe) = (self.there().next().is_some(), self.may.describes);
            return Due::Offer(Box::new(Offering { ask, variants, is_there, described, may_describe }));
        }
        described.map_or(Due::Nothing, Due::Describe)
    }

    /// Whether some of our words are others than they were when what is shown was in order, and not shown either; as in the view
    /// `offer_targets`.
    pub fn owes_words(&self) -> bool {
        let Some(settled) = &self.known.settled else { return false };
        self.tells.iter().any(|word| !self.words.agree(*word, settled) && !self.is_shown(*word))
    }

    /// What is shown while ours are waited for is what was there before them.
    fn is_shown(&self, word: Word) -> bool {
        let Known { shown, is_awaited, .. } = &self.known;
        !is_awaited && shown.as_ref().is_some_and(|shown| self.words.agree(word, shown))
    }

    /// The words that are said, and of them those that need not be said.
    ///
    /// What the shop puts in a way of its own, and was in order as of our words, stays so unless all of ours is `asked` for.
    fn said(&self, asked: bool, unheard: bool) -> (Words, Option<Words>) {
        let mut words = self.words.clone();
        let Known { settled: Some(settled), shown, .. } = &self.known else { return (words, None) };
        let mut told = settled.clone();
        for word in Word::ALL.into_iter().filter(|word| self.words.agree(*word, settled)) {
            // Tags are told one by one, and those that nobody has told stay anyway.
            let one_by_one = word == Word::Tags;
            let shown = shown.as_ref().filter(|it| word != Word::Title || !it.title.is_empty());
            if let Some(shown) = shown.filter(|_| !asked && !self.alone && !one_by_one) {
                words.take(word, shown);
                told.take(word, shown);
            }
            if asked || (unheard && !one_by_one) {
                told.take(word, &Words::default());
            }
        }
        (words, Some(told))
    }

    /// What is there of it goes, unless others of ours would go with it.
    fn leaving(&self) -> Due {
        let there: Vec<_> = self.there().map(|listed| (listed.id, listed.handle())).collect();
        match (there.is_empty(), self.shared) {
            (true, _) => Due::Nothing,
            (false, true) => Due::Never(SHARED),
            (false, false) => Due::TakeOff(there),
        }
    }

    /// Whether it is one product there, and nothing else of ours is in that: only then are that product's words its own.
    fn is_whole(&self) -> bool {
        let mut homes = self.there().map(|listed| &listed.external_product);
        let first = homes.next();
        !self.shared && (self.alone || homes.all(|home| Some(home) == first))
    }

    fn there(&self) -> impl Iterator<Item = &Listed> {
        self.listings.iter().filter(|listed| !listed.removed)
    }

    /// The product with what is there and what is to be made, and which of ours each variant is; none if nothing is to be made.
    fn offering(&self) -> Option<(ProductAsk, Vec<VariantId>)> {
        // What the platform has taken off as a whole, or somebody there, is not brought back by a variant more.
        let gone = !self.listings.is_empty() && self.there().next().is_none();
        if gone && !self.known.taken_off {
            return None;
        }
        let mut listed: HashMap<VariantId, &Listed> = HashMap::new();
        for listing in &self.listings {
            listed.entry(listing.variant).or_insert(listing);
        }
        let (mut asks, mut variants) = (vec![], vec![]);
        let mut lacks = false;
        for variant in &self.variants {
            let (there, was) = match listed.get(&variant.id).copied() {
                Some(listing) if !listing.removed => (Some(listing.handle()), None),
                // What the platform has removed, or somebody there, is not brought back.
                Some(_) if !self.known.taken_off => continue,
                _ if !self.is_ready(variant) => continue,
                // What somebody took away here was not ours.
                listing => (None, listing.filter(|listing| listing.taken_off).map(Listed::handle)),
            };
            lacks |= there.is_none();
            asks.push(VariantAsk { was, ..self.ask_for(variant, there) });
            variants.push(variant.id);
        }
        lacks.then(|| (self.asking(asks, (self.words.clone(), self.known.settled.clone())), variants))
    }

    /// Nothing is offered that the conditions keep back, and nothing for no price.
    fn is_ready(&self, variant: &Variant) -> bool {
        self.fits(variant) && (variant.price.is_some() || !self.prices)
    }

    fn fits(&self, variant: &Variant) -> bool {
        self.rules.conditions.fit(&Subject {
            sku: &variant.sku,
            brand: self.brand.as_deref(),
            category: self.words.category.as_deref(),
            tags: &self.tags,
            price: variant.price,
        })
    }

    /// What is there of it, in our words; none if they are not to be said.
    fn describing(&self, asked: bool, unheard: bool) -> Option<ProductAsk> {
        if !self.may.describes || !self.is_whole() {
            return None;
        }
        let variants: HashMap<VariantId, &Variant> = self.variants.iter().map(|it| (it.id, it)).collect();
        let there = self.there().filter_map(|listed| Some((listed, *variants.get(&listed.variant)?)));
        let there: Vec<_> = there.collect();
        if !there.iter().any(|(_, variant)| self.fits(variant)) {
            return None;
        }
        let asks = there.iter().map(|(listed, variant)| self.ask_for(variant, Some(listed.handle())));
        Some(self.asking(asks.collect(), self.said(asked, unheard)))
    }

    fn asking(&self, variants: Vec<VariantAsk>, (words, told): (Words, Option<Words>)) -> ProductAsk {
        ProductAsk { words, told, taken_off: self.known.taken_off, variants }
    }

    fn ask_for(&self, variant: &Variant, there: Option<Handle>) -> VariantAsk {
        VariantAsk {
            sku: variant.sku.clone(),
            attributes: variant.attributes.clone(),
            price: variant.price.filter(|_| self.prices),
            there,
            was: None,
        }
    }
}

#[derive(FromRow)]
struct TargetRow {
    connection_id: Uuid,
    product_id: Uuid,
    platform: String,
    rules: Json<SyncRules>,
    open: bool,
    title: String,
    brand: Option<String>,
    vendor: Option<String>,
    category: Option<String>,
    tags: Vec<String>,
    archived: bool,
    known: Option<Json<Known>>,
    variants: Json<Vec<Variant>>,
    listings: Json<Vec<Listed>>,
    shared: bool,
}

/// The present truth for some offers, all as of one moment: one statement, one snapshot.
pub async fn targets(
    pool: &PgPool,
    tenant: TenantId,
    offers: &[(ConnectionId, ProductId)],
) -> Result<HashMap<OfferId, OfferTarget>, sqlx::Error> {
    if offers.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<TargetRow> = sqlx::query_as(include_str!("offers.sql"))
        .bind(tenant.0)
        .bind(offers.iter().map(|(connection, _)| connection.0).collect::<Vec<_>>())
        .bind(offers.iter().map(|(_, product)| product.0).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    let targets = rows.into_iter().map(target);
    Ok(targets.map(|target| (OfferId::of(target.connection, target.product), target)).collect())
}

fn target(row: TargetRow) -> OfferTarget {
    let platform = row.platform.parse::<Platform>().ok();
    let outbound = platform.and_then(outbound_of);
    let skills = outbound.map(|outbound| outbound.skills()).unwrap_or_default();
    let tags = row.tags.clone();
    let details = ProductDetails {
        title: row.title,
        vendor: row.vendor,
        category: row.category,
        tags: row.tags,
        ..ProductDetails::default()
    };
    OfferTarget {
        connection: ConnectionId(row.connection_id),
        product: ProductId(row.product_id),
        words: details.words(),
        known: row.known.map(|known| known.0).unwrap_or_default(),
        brand: row.brand,
        tags,
        archived: row.archived,
        open: row.open,
        skills,
        may: skills.under(&row.rules),
        rules: row.rules.0,
        tells: outbound.map(|outbound| outbound.words()).unwrap_or_default(),
        prices: outbound.is_some_and(|outbound| outbound.sets_prices()),
        alone: platform.is_some_and(Platform::sells_variants_alone),
        shared: row.shared,
        variants: row.variants.0,
        listings: row.listings.0,
    }
}

/// Those of a shop's products of which a push is under way, or was and nobody knows what became of it: the words that they
/// show may be ours, and nothing on record says so yet.
pub async fn being_told(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
    externals: &[&str],
) -> Result<HashSet<String>, sqlx::Error> {
    let told: Vec<(String,)> = sqlx::query_as(
        "select distinct l.external_product
         from listings l -- listings_product_idx
         join outbox o on o.tenant_id = l.tenant_id and o.product_id = l.product_id -- outbox_product_idx
         where l.tenant_id = $1 and l.connection_id = $2 and l.external_product = any($3) and not l.removed
           and o.connection_id = $2 and (o.status = 'leased' or (o.status = 'pending' and o.unheard))",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(externals)
    .fetch_all(pool)
    .await?;
    Ok(told.into_iter().map(|(external,)| external).collect())
}

/// The offers that are meant and that the rules let something be told of, by connection; those with which something `newly` may
/// be done, if that is given instead.
pub async fn chosen(
    pool: &PgPool,
    tenant: TenantId,
    (brand, filter): (Option<&str>, &ListingFilter),
    newly: Option<Skills>,
    limit: i64,
) -> Result<Vec<(ConnectionId, ProductId)>, sqlx::Error> {
    let connections: Vec<Uuid> = filter.connections.iter().map(|id| id.0).collect();
    let skus: Vec<&str> = filter.skus.iter().map(Sku::as_str).collect();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select t.connection_id, t.product_id
         from offer_targets t
         where t.tenant_id = $1 and ($2::text is null or t.brand = $2)
           and (cardinality($3::uuid[]) = 0 or t.connection_id = any($3))
           and (cardinality($4::uuid[]) = 0 or t.product_id = any($4))
           and (cardinality($5::text[]) = 0 or exists (
                select from variants v where v.tenant_id = $1 and v.product_id = t.product_id and v.sku = any($5)))
           and case when $6::boolean is null then t.may_be_told
                    when t.archived then $8::boolean and t.is_listed
                    else ($6 and t.lacks) or ($7::boolean and t.is_listed) end
         order by t.connection_id, t.product_id limit $9",
    )
    .bind(tenant.0)
    .bind(brand)
    .bind(connections)
    .bind(&filter.products)
    .bind(skus)
    .bind(newly.map(|newly| newly.offers))
    .bind(newly.map(|newly| newly.describes))
    .bind(newly.map(|newly| newly.takes_off))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(connection, product)| (ConnectionId(connection), ProductId(product))).collect())
}
