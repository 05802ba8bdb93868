//! Create products, set prices.

use std::collections::BTreeMap;

use onhand_domain::{
    Refusal, StreamId,
    aggregate::verdict,
    catalog::Changes,
    product::{Product, ProductCommand, ProductDetails, VARIANTS_MAX, VariantDetails},
    sku_claim::SkuCommand,
    stream::Lookup,
    values::{Market, Money, ProductId, Sku, VariantId},
};
use serde_json::json;
use uuid::Uuid;

use super::{Caller, Operations};
use crate::ledger::{Attachments, Decision, FollowUp, LedgerError, Receipt};

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
    /// How it looks.
    pub details: VariantDetails,
    /// What it costs, where.
    pub prices: BTreeMap<Market, Money>,
}

impl Operations {
    /// Takes a product into the catalogue. Answers with its id and those of its variants.
    pub async fn create_product(&self, caller: Caller, draft: ProductDraft) -> Result<Receipt, LedgerError> {
        if draft.variants.is_empty() || draft.variants.len() > VARIANTS_MAX {
            return Err(Refusal::invalid(
                "product.variants",
                format!("a product has 1 to {VARIANTS_MAX} variants"),
            )
            .into());
        }
        if !caller.may_touch(draft.details.brand.as_deref()) {
            return Err(Refusal::forbidden(
                "brand.forbidden",
                "this key may create products of its own brand only",
            )
            .into());
        }
        let product = ProductId(Uuid::now_v7());
        let ids: Vec<VariantId> = draft.variants.iter().map(|_| VariantId(Uuid::now_v7())).collect();
        let mut reads = vec![StreamId::Product(product)];
        reads.extend(draft.variants.iter().map(|variant| StreamId::Sku(variant.details.sku.clone())));
        let correlation_id = caller.context.correlation_id.clone();
        let receipt = self
            .submit(caller, reads, move |lookup, now| {
                let changes = created(product, &draft, &ids, lookup)?;
                let variants: Vec<_> = draft
                    .variants
                    .iter()
                    .zip(&ids)
                    .map(|(variant, id)| json!({ "id": id, "sku": variant.details.sku }))
                    .collect();
                Ok(Decision {
                    changes,
                    answer: json!({ "id": product, "variants": variants }).into(),
                    attachments: Attachments {
                        follow_ups: vec![FollowUp::unmapped(correlation_id.clone(), now)],
                        ..Attachments::default()
                    },
                    ..Decision::default()
                })
            })
            .await?;
        self.directory.forget();
        Ok(receipt)
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
        self.submit(caller, vec![stream.clone()], move |lookup, _| {
            let command =
                ProductCommand::Price { variant: named.variant, market: market.clone(), price, at: None };
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

fn created(
    product: ProductId,
    draft: &ProductDraft,
    ids: &[VariantId],
    lookup: &Lookup<'_>,
) -> Result<Changes, Refusal> {
    let mut changes = Changes::new();
    let mut state = lookup.product(&product).clone();
    let mut ask = |state: &mut Product, command| -> Result<(), Refusal> {
        for event in verdict(&product, state, command)? {
            *state = std::mem::take(state).evolve(event.clone());
            changes.push((StreamId::Product(product), event.into()));
        }
        Ok(())
    };
    ask(&mut state, ProductCommand::Create(draft.details.clone()))?;
    for (variant, id) in draft.variants.iter().zip(ids) {
        ask(&mut state, ProductCommand::PutVariant { variant: *id, details: variant.details.clone() })?;
        for (market, price) in &variant.prices {
            ask(
                &mut state,
                ProductCommand::Price { variant: *id, market: market.clone(), price: *price, at: None },
            )?;
        }
    }
    let mut taken = std::collections::BTreeSet::new();
    for (variant, id) in draft.variants.iter().zip(ids) {
        let sku = &variant.details.sku;
        if !taken.insert(sku.clone()) {
            return Err(Refusal::invalid("sku.repeated", format!("two variants have the SKU {sku}")));
        }
        for event in verdict(sku, lookup.sku(sku), SkuCommand::Assign { product, variant: *id })? {
            changes.push((StreamId::Sku(sku.clone()), event.into()));
        }
    }
    Ok(changes)
}
