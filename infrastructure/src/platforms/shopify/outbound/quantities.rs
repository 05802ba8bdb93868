//! Setting and reading what a shop shows as available.
//!
//! The platform sets all quantities of a call or none, and only those that are what we believe them to be; here
//! this becomes one outcome for each item, in which nobody pays for another's mistake.

use std::collections::BTreeMap;

use onhand_domain::values::ExternalId;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Outcome, Shop,
    call::{CallError, UserError},
    gid,
};

/// The most quantities that go into one call.
pub const QUANTITIES_MAX: usize = 100;

/// The most units the platform takes, below nothing as above.
const BOUND: u64 = 1_000_000_000;

const SET: &str = "mutation OnhandSetQuantities($input: InventorySetQuantitiesInput!, $key: String!) {
    inventorySetQuantities(input: $input) @idempotent(key: $key) {
        inventoryAdjustmentGroup { id }
        userErrors { field message code }
    }
}";

const READ: &str = "query OnhandReadQuantities($ids: [ID!]!, $location: ID!) {
    nodes(ids: $ids) {
        ... on InventoryItem {
            id
            inventoryLevel(locationId: $location) { quantities(names: [\"available\"]) { name quantity } }
        }
    }
}";

/// One quantity to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityAsk {
    /// The platform's handle on the stock.
    pub inventory: ExternalId,
    /// What is to be shown.
    pub quantity: i64,
    /// What is thought to be shown now; none to have it looked up.
    pub believed: Option<i64>,
}

/// An ask on its way through one call.
struct Item<'a> {
    ask: &'a QuantityAsk,
    believed: i64,
    state: State,
}

#[derive(Clone)]
enum State {
    Unbelieved,
    Open,
    Stale,
    Over(Outcome<i64>),
}

impl From<CallError> for State {
    fn from(error: CallError) -> Self {
        Self::Over(Outcome::Failed(error))
    }
}

impl<'a> Item<'a> {
    fn new(ask: &'a QuantityAsk) -> Self {
        let within = |quantity: i64| quantity.unsigned_abs() <= BOUND;
        // The platform refuses the whole call for what it cannot even read.
        let state = if gid("InventoryItem", &ask.inventory).is_none() {
            CallError::never(format!("{} is no id of an inventory item", ask.inventory)).into()
        } else if !within(ask.quantity) || !ask.believed.is_none_or(within) {
            CallError::never("the quantity is beyond what the platform takes").into()
        } else if ask.believed.is_none() {
            State::Unbelieved
        } else {
            State::Open
        };
        Self { ask, believed: ask.believed.unwrap_or_default(), state }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn refuse(&mut self, error: &UserError) {
        self.state = if error.is_stale() { State::Stale } else { error.meaning().into() };
    }

    /// Takes what the shop shows: to start from, or because what we started from is past.
    fn see(&mut self, shown: Option<i64>) {
        self.state = match (shown, &self.state) {
            (None, _) => CallError::never("the shop keeps no stock of this item at the location").into(),
            (Some(observed), State::Unbelieved) => {
                self.believed = observed;
                State::Open
            }
            // An earlier attempt got through whose answer was lost.
            (Some(observed), _) if observed == self.ask.quantity => State::Over(Outcome::Shown(observed)),
            (Some(observed), _) => State::Over(Outcome::Stale { observed }),
        };
    }

    fn outcome(self) -> Outcome<i64> {
        match self.state {
            State::Over(outcome) => outcome,
            State::Unbelieved | State::Open | State::Stale => Outcome::Failed(CallError::wait(
                std::time::Duration::ZERO,
                "held back, because other items of the call were refused",
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    inventory_set_quantities: SetPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetPayload {
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
struct Read {
    nodes: Vec<Option<Node>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: Option<String>,
    inventory_level: Option<Level>,
}

#[derive(Deserialize)]
struct Level {
    quantities: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    quantity: i64,
}

impl Shop {
    /// Sets available quantities and answers for each ask, in order.
    ///
    /// `reference` is what the shop's history names as the cause. `key` is this attempt's: repeated with it, the same
    /// asks are applied once. An ask whose quantity is shown already is sent all the same.
    pub async fn set_quantities(
        &self,
        asks: &[QuantityAsk],
        reference: &str,
        key: Uuid,
    ) -> Vec<Outcome<i64>> {
        let mut outcomes = Vec::with_capacity(asks.len());
        for asks in asks.chunks(QUANTITIES_MAX) {
            let mut items: Vec<_> = asks.iter().map(Item::new).collect();
            self.look_up(&mut items, |state| matches!(state, State::Unbelieved)).await;
            // Once with all, and once more without those that spoilt it for the others.
            for _ in 0..2 {
                self.set_open(&mut items, reference, key).await;
            }
            self.look_up(&mut items, |state| matches!(state, State::Stale)).await;
            outcomes.extend(items.into_iter().map(Item::outcome));
        }
        outcomes
    }

    /// What the shop shows as available; what it does not keep at the location is missing from the answer.
    pub async fn read_quantities(
        &self,
        inventory: &[ExternalId],
    ) -> Result<BTreeMap<ExternalId, i64>, CallError> {
        let by_gid: BTreeMap<_, _> =
            inventory.iter().filter_map(|id| Some((gid("InventoryItem", id)?, id))).collect();
        let ids: Vec<_> = by_gid.keys().collect();
        let location = self.location()?;
        let mut shown = BTreeMap::new();
        for ids in ids.chunks(QUANTITIES_MAX) {
            let variables = json!({"ids": ids, "location": location});
            let read: Read = self.call(READ, variables, 2 * ids.len()).await?;
            for node in read.nodes.into_iter().flatten() {
                let item = node.id.and_then(|id| by_gid.get(&id));
                let levels = node.inventory_level.into_iter().flat_map(|level| level.quantities);
                let available = levels.filter(|it| it.name == "available").map(|it| it.quantity).next();
                shown.extend(item.zip(available).map(|(id, available)| ((*id).clone(), available)));
            }
        }
        Ok(shown)
    }

    fn location(&self) -> Result<String, CallError> {
        gid("Location", &self.location)
            .ok_or_else(|| CallError::person("the connection's platform location is no id of a location"))
    }

    async fn look_up(&self, items: &mut [Item<'_>], wanted: impl Fn(&State) -> bool) {
        let mut items: Vec<_> = items.iter_mut().filter(|item| wanted(&item.state)).collect();
        if items.is_empty() {
            return;
        }
        let ids: Vec<_> = items.iter().map(|item| item.ask.inventory.clone()).collect();
        let shown = self.read_quantities(&ids).await;
        for item in &mut items {
            match &shown {
                Ok(shown) => item.see(shown.get(&item.ask.inventory).copied()),
                Err(error) => item.state = error.clone().into(),
            }
        }
    }

    async fn set_open(&self, items: &mut [Item<'_>], reference: &str, key: Uuid) {
        let mut open: Vec<_> = items.iter_mut().filter(|item| item.is_open()).collect();
        if open.is_empty() {
            return;
        }
        let errors = match self.set_once(&open, reference, key).await {
            Ok(errors) => errors,
            Err(error) => return open.iter_mut().for_each(|item| item.state = error.clone().into()),
        };
        if errors.is_empty() {
            // Without a change there is no adjustment group, and the quantity is shown all the same.
            for item in open {
                item.state = State::Over(Outcome::Shown(item.ask.quantity));
            }
            return;
        }
        for error in &errors {
            match error.index().and_then(|index| open.get_mut(index)) {
                // What stands against an item for good goes before its being stale.
                Some(item) if error.is_stale() && !item.is_open() => {}
                Some(item) => item.refuse(error),
                None => open.iter_mut().for_each(|item| item.state = error.meaning().into()),
            }
        }
    }

    async fn set_once(
        &self,
        open: &[&mut Item<'_>],
        reference: &str,
        key: Uuid,
    ) -> Result<Vec<UserError>, CallError> {
        let location = self.location()?;
        let quantity = |item: &&mut Item<'_>| {
            json!({
                "inventoryItemId": gid("InventoryItem", &item.ask.inventory),
                "locationId": location,
                "quantity": item.ask.quantity,
                "changeFromQuantity": item.believed,
            })
        };
        let input = json!({
            "name": "available",
            "reason": "correction",
            "referenceDocumentUri": document_uri(reference),
            "quantities": open.iter().map(quantity).collect::<Vec<Value>>(),
        });
        // A key stands for one content: with fewer items, or from another belief, it has to be another one.
        let key = Uuid::new_v5(&key, input.to_string().as_bytes());
        let set: Set = self.call(SET, json!({"input": input, "key": key}), 10 + open.len()).await?;
        Ok(set.inventory_set_quantities.user_errors)
    }
}

fn document_uri(reference: &str) -> String {
    if reference.contains("://") { reference.to_owned() } else { format!("onhand://{reference}") }
}
