//! Setting and reading what a shop shows as available.
//!
//! The platform sets all quantities of a call or none, and only those that are what we believe them to be; here
//! this becomes one outcome for each item, in which nobody pays for another's mistake.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::super::outbound::{CallError, Outcome, QuantityAsk},
    Shop,
    call::UserError,
    gid,
};

/// The most quantities that go into one call.
pub(super) const QUANTITIES_MAX: usize = 100;

/// The most units the platform takes, below nothing as above.
const BOUND: u64 = 1_000_000_000;

/// How often the open items of a call are sent: once with all, and once more without those that spoilt it for the others.
const TRIES: [u8; 2] = [1, 2];

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

/// An ask on its way through one call.
struct Item<'a> {
    ask: &'a QuantityAsk,
    /// Empty if it has none, and then it is over.
    gid: String,
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
        let gid = ask.handle.inventory.as_ref().and_then(|inventory| gid("InventoryItem", inventory));
        let state = if ask.handle.inventory.is_none() {
            CallError::never("the platform gave no inventory item for this listing").into()
        } else if gid.is_none() {
            CallError::never("the listing's id of an inventory item is none").into()
        } else if !within(ask.quantity) || !ask.believed.is_none_or(within) {
            CallError::never("the quantity is beyond what the platform takes").into()
        } else if ask.believed.is_none() {
            State::Unbelieved
        } else {
            State::Open
        };
        Self { ask, gid: gid.unwrap_or_default(), believed: ask.believed.unwrap_or_default(), state }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn refuse(&mut self, error: &UserError) {
        if !error.is_stale() {
            self.state = error.meaning().into();
        } else if self.is_open() {
            // What stands against an item for good goes before its being stale.
            self.state = State::Stale;
        }
    }

    /// Takes what the shop shows: to start from, or because what we started from is past or is said to be.
    fn see(&mut self, shown: Option<i64>, is_last: bool) {
        self.state = match (shown, &self.state) {
            (None, _) => CallError::never("the shop keeps no stock of this item at the location").into(),
            (Some(observed), State::Unbelieved) => {
                self.believed = observed;
                State::Open
            }
            // An earlier attempt got through whose answer was lost.
            (Some(observed), _) if observed == self.ask.quantity => State::Over(Outcome::Shown(observed)),
            (Some(observed), _) if observed != self.believed => State::Over(Outcome::Stale { observed }),
            // The shop did not say which item of the call is stale, and this one is not.
            (Some(_), _) if !is_last => State::Open,
            (Some(_), _) => CallError::failed("the shop shows what was believed, and calls it stale").into(),
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

/// All that is asked. The shop takes an item once in a call, and of two calls at once nobody knows which is the last: of
/// asks for one item the first goes, and the later ones another time.
fn items(asks: &[QuantityAsk]) -> Vec<Item<'_>> {
    let mut items: Vec<_> = asks.iter().map(Item::new).collect();
    let mut known = BTreeSet::new();
    for item in &mut items {
        if !matches!(item.state, State::Over(_)) && !known.insert(item.gid.clone()) {
            item.state = CallError::later().into();
        }
    }
    items
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

impl Shop<'_> {
    /// Sets available quantities and answers for each ask, in order.
    ///
    /// `key` is this attempt's, and what the shop's history names as the cause: repeated with it, the same
    /// asks are applied once. An ask whose quantity is shown already is sent all the same.
    pub(in super::super) async fn set_quantities(
        &self,
        asks: &[QuantityAsk],
        key: Uuid,
    ) -> Vec<Outcome<i64>> {
        let mut items = items(asks);
        for items in items.chunks_mut(QUANTITIES_MAX) {
            self.look_up(items, |state| matches!(state, State::Unbelieved), false).await;
            for number in TRIES {
                // A second try may say what the first has said, and is to be answered anew.
                self.set_open(items, (key, number)).await;
                let is_last = Some(&number) == TRIES.last();
                self.look_up(items, |state| matches!(state, State::Stale), is_last).await;
            }
        }
        items.into_iter().map(Item::outcome).collect()
    }

    /// What the shop shows as available; what it does not keep at the location is missing from the answer.
    async fn read_quantities(&self, ids: &[&str]) -> Result<BTreeMap<String, i64>, CallError> {
        let location = self.location()?;
        let mut shown = BTreeMap::new();
        for ids in ids.chunks(QUANTITIES_MAX) {
            let variables = json!({"ids": ids, "location": location});
            let read: Read = self.call(READ, variables, 2 * ids.len()).await?;
            for node in read.nodes.into_iter().flatten() {
                let levels = node.inventory_level.into_iter().flat_map(|level| level.quantities);
                let available = levels.filter(|it| it.name == "available").map(|it| it.quantity).next();
                shown.extend(node.id.zip(available));
            }
        }
        Ok(shown)
    }

    pub(super) fn location(&self) -> Result<String, CallError> {
        let location = self.0.details().platform_location.as_ref();
        location
            .and_then(|location| gid("Location", location))
            .ok_or_else(|| CallError::person("the connection's platform location is no id of a location"))
    }

    async fn look_up(&self, items: &mut [Item<'_>], wanted: impl Fn(&State) -> bool, is_last: bool) {
        let mut items: Vec<_> = items.iter_mut().filter(|item| wanted(&item.state)).collect();
        if items.is_empty() {
            return;
        }
        let ids: Vec<_> = items.iter().map(|item| item.gid.as_str()).collect();
        let shown = self.read_quantities(&ids).await;
        for item in &mut items {
            match &shown {
                Ok(shown) => item.see(shown.get(&item.gid).copied(), is_last),
                Err(error) => item.state = error.clone().into(),
            }
        }
    }

    async fn set_open(&self, items: &mut [Item<'_>], key: (Uuid, u8)) {
        let mut open: Vec<_> = items.iter_mut().filter(|item| item.is_open()).collect();
        if open.is_empty() {
            return;
        }
        let errors = match self.set_once(&open, key).await {
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
                Some(item) => item.refuse(error),
                None => open.iter_mut().for_each(|item| item.refuse(error)),
            }
        }
    }

    async fn set_once(
        &self,
        open: &[&mut Item<'_>],
        (key, number): (Uuid, u8),
    ) -> Result<Vec<UserError>, CallError> {
        let location = self.location()?;
        let quantity = |item: &&mut Item<'_>| {
            json!({
                "inventoryItemId": item.gid,
                "locationId": location,
                "quantity": item.ask.quantity,
                "changeFromQuantity": item.believed,
            })
        };
        let input = json!({
            "name": "available",
            "reason": "correction",
            "referenceDocumentUri": format!("onhand://push/{key}"),
            "quantities": open.iter().map(quantity).collect::<Vec<Value>>(),
        });
        // A key stands for one content: with fewer items, or from another belief, it has to be another one.
        let key = Uuid::new_v5(&key, format!("{number} {input}").as_bytes());
        let set: Set = self.call(SET, json!({"input": input, "key": key}), 10 + open.len()).await?;
        Ok(set.inventory_set_quantities.user_errors)
    }
}
