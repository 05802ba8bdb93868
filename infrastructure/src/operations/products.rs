//! Create, describe, archive and restore products, put their variants, set prices.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::{self, Changes},
    product::{Product, ProductCommand, ProductDetails, VARIANTS_MAX, VariantDetails},
    sku_claim::{SkuClaim, SkuCommand},
    stream::Lookup,
    values::{Market, Money, ProductId, Sku, VariantId},
};
use serde_json::json;
use uuid::Uuid;

use super::{Caller, Operations};
use crate::{
    ledger::{Attachments, Decision, FollowUp, LedgerError, Receipt},
    queries::products::is_listed_elsewhere,
};

/// A product to be.
#[derive(Debug, Clone)]
pub struct ProductDraft {
    /// What describes it.
    pub details: ProductDetails,
    /// Its variants; at least one.
    pub variants: Vec<VariantDraft>,
}

/// A variant to be.
#[derive(Debug, Clone)]
pub struct VariantDraft {
    /// Which one it has been so far; none: the one of this SKU, or else none at all.
    pub id: Option<VariantId>,
    /// How it looks.
    pub details: VariantDetails,
    /// What it costs, where.
    pub prices: BTreeMap<Market, Money>,
}

impl Operations {
    /// Takes a product into the catalogue. Answers with its id and those of its variants.
    pub async fn create_product(&self, caller: Caller, draft: ProductDraft) -> Result<Receipt, LedgerError> {
        sound(&draft.variants)?;
        if !caller.may_touch(draft.details.brand.as_deref()) {
            return Err(other_brand().into());
        }
        let product = ProductId(Uuid::now_v7());
        let ids = fresh(&draft.variants);
        let mut reads = vec![StreamId::Product(product)];
        reads.extend(skus(&draft.variants));
        let correlation_id = caller.context.correlation_id.clone();
        let receipt = self
            .submit(caller, reads, move |lookup, now| {
                let mut putting = Putting::new(product, (lookup, now));
                putting.ask(ProductCommand::Create(draft.details.clone()))?;
                let variants = putting.put_each(&draft.variants, &ids)?;
                Ok(putting.decided(&variants, FollowUp::unmapped(correlation_id.clone(), now)))
            })
            .await?;
        self.directory.forget();
        Ok(receipt)
    }

    /// Describes a product, as a whole: what is not given is not there. Answers with its id.
    pub async fn describe_product(
        &self,
        caller: Caller,
        product: ProductId,
        details: ProductDetails,
    ) -> Result<Receipt, LedgerError> {
        if !caller.may_touch(details.brand.as_deref()) {
            return Err(other_brand().into());
        }
        let (pool, tenant) = (self.ledger().pool(), caller.context.tenant);
        let elsewhere = match &details.brand {
            // What no brand can be is refused by the commit.
            Some(brand) if !brand.contains('\0') => is_listed_elsewhere(pool, tenant, product, brand).await?,
            _ => false,
        };
        let asker = caller.clone();
        let receipt = self
            .submit(caller, vec![StreamId::Product(product)], move |lookup, now| {
                let known = in_catalogue(&asker, product, lookup)?.details.as_ref();
                let rebranded = known.is_some_and(|it| it.brand != details.brand);
                if elsewhere && rebranded {
                    return Err(Refusal::conflict(
                        "product.listed_elsewhere",
                        "this product is listed on connections of another brand; end that first",
                    ));
                }
                let mut putting = Putting::new(product, (lookup, now));
                putting.ask(ProductCommand::Describe(details.clone()))?;
                let answer = json!({ "id": product }).into();
                // Market prices may have spoken of that code before, and to another brand.
                let news = rebranded || known.is_some_and(|it| it.style_code != details.style_code);
                let look = || FollowUp::unmapped(asker.context.correlation_id.clone(), now);
                let follow_ups = news.then(look).into_iter().collect();
                let attachments = Attachments { follow_ups, ..Attachments::default() };
                Ok(Decision { changes: putting.changes, answer, attachments, ..Decision::default() })
            })
            .await?;
        // The brand may be another one.
        self.directory.forget();
        Ok(receipt)
    }

    /// Adds variants to a product, and changes those it has. Answers with its id and theirs.
    pub async fn put_variants(
        &self,
        caller: Caller,
        product: ProductId,
        variants: Vec<VariantDraft>,
    ) -> Result<Receipt, LedgerError> {
        sound(&variants)?;
        let (asker, ids) = (caller.clone(), fresh(&variants));
        let mut reads = vec![StreamId::Product(product)];
        reads.extend(skus(&variants));
        let receipt = self
            .submit(caller, reads, move |lookup, now| {
                in_catalogue(&asker, product, lookup)?;
                let mut putting = Putting::new(product, (lookup, now));
                let put = putting.put_each(&variants, &ids)?;
                let correlation_id = asker.context.correlation_id.clone();
                Ok(putting.decided(&put, FollowUp::unmapped(correlation_id, now)))
            })
            .await?;
        self.directory.forget();
        Ok(receipt)
    }

    /// Takes a product out of the catalogue; its stock and its SKUs stay. Answers with its id.
    pub async fn archive_product(&self, caller: Caller, product: ProductId) -> Result<Receipt, LedgerError> {
        self.turn_product(caller, product, ProductCommand::Archive).await
    }

    /// Takes a product back into the catalogue. Answers with its id.
    pub async fn restore_product(&self, caller: Caller, product: ProductId) -> Result<Receipt, LedgerError> {
        self.turn_product(caller, product, ProductCommand::Restore).await
    }

    async fn turn_product(
        &self,
        caller: Caller,
        product: ProductId,
        command: ProductCommand,
    ) -> Result<Receipt, LedgerError> {
        let asker = caller.clone();
        self.submit(caller, vec![StreamId::Product(product)], move |lookup, now| {
            visible(&asker, product, lookup)?;
            let mut putting = Putting::new(product, (lookup, now));
            putting.ask(command.clone())?;
            let answer = json!({ "id": product, "archived": putting.product.archived }).into();
            Ok(Decision { changes: putting.changes, answer, ..Decision::default() })
        })
        .await
    }

    /// Sets what a SKU costs in a market. Answers with the price.
    pub async fn set_price(
        &self,
        caller: Caller,
        sku: Sku,
        market: Market,
        price: Money,
    ) -> Result<Receipt, LedgerError> {
        let named = self.named(&caller, std::slice::from_ref(&sku)).await?;
        let Some(named) = named.into_iter().next() else {
            return Err(super::directory::unknown_sku(&sku).into());
        };
        let stream = StreamId::Product(named.product);
        self.submit(caller, vec![stream.clone()], move |lookup, now| {
            let (variant, counted_at) = (named.variant, now);
            let command =
                ProductCommand::Price { variant, market: market.clone(), price, at: None, counted_at };
            let events = verdict(&named.product, lookup.product(&named.product), command)?;
            Ok(Decision {
                changes: events.into_iter().map(|event| (stream.clone(), event.into())).collect(),
                answer: json!({ "sku": sku, "market": market, "price": price }).into(),
                ..Decision::default()
            })
        })
        .await
    }
}

/// The product, which does not exist for a caller who may not touch it.
fn visible<'s>(caller: &Caller, id: ProductId, lookup: &Lookup<'s>) -> Result<&'s Product, Refusal> {
    let product = lookup.product(&id);
    let details = product.details.as_ref().filter(|details| caller.may_touch(details.brand.as_deref()));
    details
        .map(|_| product)
        .ok_or_else(|| Refusal::missing("product.unknown", format!("there is no product {id}")))
}

/// The same, and it has not left the catalogue.
fn in_catalogue<'s>(caller: &Caller, id: ProductId, lookup: &Lookup<'s>) -> Result<&'s Product, Refusal> {
    let product = visible(caller, id, lookup)?;
    if product.archived {
        return Err(Refusal::conflict(
            "product.archived",
            "this product has left the catalogue; it can be restored",
        ));
    }
    Ok(product)
}

fn other_brand() -> Refusal {
    Refusal::forbidden("brand.forbidden", "this key may have products of its own brand only")
}

/// Refuses what makes no sense in whatever state the product is.
fn sound(variants: &[VariantDraft]) -> Result<(), Refusal> {
    if variants.is_empty() || variants.len() > VARIANTS_MAX {
        return Err(Refusal::invalid(
            "product.variants",
            format!("1 to {VARIANTS_MAX} variants are taken at a time"),
        ));
    }
    let mut taken = BTreeSet::new();
    for VariantDraft { details, .. } in variants {
        if !taken.insert(&details.sku) {
            let detail = format!("two variants have the SKU {}", details.sku);
            return Err(Refusal::invalid("sku.repeated", detail));
        }
    }
    Ok(())
}

/// The ids that variants have if they are new.
fn fresh(variants: &[VariantDraft]) -> Vec<VariantId> {
    variants.iter().map(|_| VariantId(Uuid::now_v7())).collect()
}

fn skus(variants: &[VariantDraft]) -> impl Iterator<Item = StreamId> {
    variants.iter().map(|variant| StreamId::Sku(variant.details.sku.clone()))
}

/// What is put into one product, and what follows so far.
struct Putting<'l, 's> {
    id: ProductId,
    lookup: &'l Lookup<'s>,
    now: DateTime<Utc>,
    product: Product,
    claims: HashMap<Sku, SkuClaim>,
    changes: Changes,
}

impl<'l, 's> Putting<'l, 's> {
    fn new(id: ProductId, (lookup, now): (&'l Lookup<'s>, DateTime<Utc>)) -> Self {
        let product = lookup.product(&id).clone();
        Self { id, lookup, now, product, claims: HashMap::new(), changes: vec![] }
    }

    fn ask(&mut self, command: ProductCommand) -> Result<(), Refusal> {
        for event in verdict(&self.id, &self.product, command)? {
            self.product = std::mem::take(&mut self.product).evolve(event.clone());
            self.changes.push((StreamId::Product(self.id), event.into()));
        }
        Ok(())
    }

    /// Variants, each with the id it has if it is new. Gives the ids they have. All SKUs are given up before one is given, so that
    /// variants may exchange them.
    fn put_each(
        &mut self,
        variants: &[VariantDraft],
        fresh: &[VariantId],
    ) -> Result<Vec<(VariantId, Sku)>, Refusal> {
        let mut given: BTreeMap<VariantId, &Sku> = BTreeMap::new();
        let mut put = Vec::with_capacity(variants.len());
        for (variant, fresh) in variants.iter().zip(fresh) {
            let (id, sku) = (self.meant(variant, *fresh)?, &variant.details.sku);
            // The later SKU would take the place of the earlier one, which would then name nothing.
            if let Some(earlier) = given.insert(id, sku) {
                let detail = format!("the variant {id} is given twice, as {earlier} and as {sku}");
                return Err(Refusal::invalid("variant.repeated", detail));
            }
            let before = self.product.variants.get(&id).map(|known| known.details.sku.clone());
            if let Some(before) = before.filter(|before| before != sku) {
                self.name(&before, SkuCommand::Release)?;
            }
            put.push((id, sku.clone()));
        }
        for (variant, (id, _)) in variants.iter().zip(&put) {
            self.put(*id, variant)?;
        }
        Ok(put)
    }

    /// Which variant is meant: the one of the id, else the product's own of the SKU, else a new one.
    fn meant(&mut self, variant: &VariantDraft, fresh: VariantId) -> Result<VariantId, Refusal> {
        let own = self.claim(&variant.details.sku).names.filter(|(product, _)| *product == self.id);
        match variant.id {
            Some(id) if !self.product.variants.contains_key(&id) => {
                let detail = format!("this product has no variant {id}");
                Err(Refusal::missing("variant.unknown", detail))
            }
            Some(id) => Ok(id),
            None => Ok(own.map_or(fresh, |(_, id)| id)),
        }
    }

    fn put(&mut self, id: VariantId, variant: &VariantDraft) -> Result<(), Refusal> {
        let VariantDraft { details, prices, .. } = variant;
        self.ask(ProductCommand::PutVariant { variant: id, details: details.clone() })?;
        for (market, price) in prices {
            let (market, price, counted_at) = (market.clone(), *price, self.now);
            self.ask(ProductCommand::Price { variant: id, market, price, at: None, counted_at })?;
        }
        self.name(&details.sku, SkuCommand::Assign { product: self.id, variant: id })
    }

    fn claim(&mut self, sku: &Sku) -> &mut SkuClaim {
        let lookup = self.lookup;
        self.claims.entry(sku.clone()).or_insert_with(|| lookup.sku(sku).clone())
    }

    fn name(&mut self, sku: &Sku, command: SkuCommand) -> Result<(), Refusal> {
        let named = |refusal: Refusal| Refusal {
            detail: format!("{sku}: {}", refusal.detail),
            ..refusal.with_facts(json!({ "sku": sku }))
        };
        for event in verdict(sku, self.claim(sku), command).map_err(named)? {
            let claim = self.claim(sku);
            *claim = std::mem::take(claim).evolve(event);
            self.changes.push((StreamId::Sku(sku.clone()), event.into()));
        }
        Ok(())
    }

    /// What it comes to. Deliveries that spoke of variants nobody knew are worth another look if some have become known.
    fn decided(self, variants: &[(VariantId, Sku)], look: FollowUp) -> Decision {
        let variants: Vec<_> = variants.iter().map(|(id, sku)| json!({ "id": id, "sku": sku })).collect();
        let known = self.changes.iter().any(|(_, event)| catalog::makes_known(event));
        Decision {
            changes: self.changes,
            answer: json!({ "id": self.id, "variants": variants }).into(),
            attachments: Attachments {
                follow_ups: known.then_some(look).into_iter().collect(),
                ..Attachments::default()
            },
            ..Decision::default()
        }
    }
}
