//! Differences between two states of one thing, as people see them: what was there before, and what after.

use std::collections::BTreeMap;

use onhand_domain::{
    State,
    stock::{Hold, Stock},
    values::ReservationId,
};
use serde::Serialize;
use serde_json::{Value, json};

/// Holds of a shelf that are told of at most.
const HOLDS_MAX: usize = 1_000;

static NOTHING: Value = Value::Null;

/// One value that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where in the state, as a JSON pointer (RFC 6901): `/on_hand`.
    pub path: String,
    /// What was there; null if nothing was.
    pub before: Value,
    /// What is there; null if nothing is.
    pub after: Value,
}

/// What differs between two values, by path. Objects are compared field by field; a list is one value, because what moves
/// up in it has not changed.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut String::new(), before, after, &mut found);
    found
}

fn compare(path: &mut String, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        found.push(Difference { path: path.clone(), before: before.clone(), after: after.clone() });
        return;
    };
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let mut names: Vec<&String> = gone.chain(new.keys()).collect();
    names.sort_unstable();
    for name in names {
        let length = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let [before, after] = [old, new].map(|fields| fields.get(name).unwrap_or(&NOTHING));
        compare(path, before, after, found);
        path.truncate(length);
    }
}

/// What differs between two states of one stream.
pub fn changes(before: &State, after: &State) -> Vec<Difference> {
    let (before, after) = shown(before, after);
    differences(&before, &after)
}

/// Two states of one stream as people see them. Of a shelf's holds there are those that differ, a thousand at most, and
/// what a shelf remembers for news that come late is left out.
pub fn shown(before: &State, after: &State) -> (Value, Value) {
    match (before, after) {
        (State::Stock(before), State::Stock(after)) => {
            let holds = holds_that_differ(before, after);
            (shelf(before, &holds), shelf(after, &holds))
        }
        _ => (fields(before), fields(after)),
    }
}

fn holds_that_differ(before: &Stock, after: &Stock) -> Vec<ReservationId> {
    let changed = before.holds().iter().filter(|(id, hold)| after.held_for(id) != Some(*hold));
    let new = after.holds().iter().filter(|(id, _)| before.held_for(id).is_none());
    changed.chain(new).map(|(id, _)| *id).take(HOLDS_MAX).collect()
}

pub(super) fn shelf(shelf: &Stock, holds: &[ReservationId]) -> Value {
    let holds: BTreeMap<String, _> =
        holds.iter().filter_map(|id| Some((id.to_string(), hold(shelf.held_for(id)?)))).collect();
    json!({
        "on_hand": shelf.on_hand(), "reserved": shelf.reserved(), "available": shelf.available(),
        "policy": shelf.policy(), "low": shelf.is_low(), "holds": holds,
    })
}

/// A hold, without what is kept of it for news that come late.
fn hold(hold: &Hold) -> Value {
    let mut value = serde_json::to_value(hold).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("noted");
    }
    value
}

/// A state without the name of its kind.
pub(super) fn fields(state: &State) -> Value {
    let mut value = serde_json::to_value(state).unwrap_or_default();
    value.get_mut("state").map(Value::take).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use onhand_domain::{Event, StreamId, stock::StockEvent, values::Quantity};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn told(before: &Value, after: &Value) -> Vec<(String, Value, Value)> {
        let each = differences(before, after).into_iter();
        each.map(|it| (it.path, it.before, it.after)).collect()
    }

    #[test]
    fn each_field_that_differs_is_told_by_its_path_and_nothing_else_is() {
        let before = json!({ "on_hand": 10, "policy": { "limit": 0, "threshold": 3 }, "low": false });
        let after = json!({ "on_hand": 8, "policy": { "limit": 0, "threshold": 5 }, "low": false });
        assert_eq!(
            told(&before, &after),
            [
                ("/on_hand".to_owned(), json!(10), json!(8)),
                ("/policy/threshold".to_owned(), json!(3), json!(5)),
            ]
        );
        assert!(differences(&after, &after).is_empty());
    }

    #[test]
    fn what_comes_or_goes_was_or_is_nothing() {
        let (without, with) = (json!({ "holds": {} }), json!({ "holds": { "r": { "quantity": 1 } } }));
        let hold = json!({ "quantity": 1 });
        let path = "/holds/r".to_owned();
        assert_eq!(told(&without, &with), [(path.clone(), Value::Null, hold.clone())]);
        assert_eq!(told(&with, &without), [(path, hold, Value::Null)]);
        assert!(differences(&json!({}), &json!({ "brand": null })).is_empty());
    }

    #[test]
    fn a_list_is_one_value_and_names_are_escaped() {
        let (before, after) = (json!({ "a/b~c": [1, 2, 3] }), json!({ "a/b~c": [2, 3] }));
        assert_eq!(told(&before, &after), [("/a~1b~0c".to_owned(), json!([1, 2, 3]), json!([2, 3]))]);
        assert_eq!(told(&json!(1), &json!({ "a": 1 })), [(String::new(), json!(1), json!({ "a": 1 }))]);
    }

    #[test]
    fn of_a_shelf_s_holds_those_are_told_that_the_entry_has_touched() {
        let stream: StreamId = format!("stock/{}/main", Uuid::nil()).parse().expect("a stream");
        let units = |n| Quantity::new(n).expect("in range");
        let reserved = |n: u128| StockEvent::Reserved {
            reservation: ReservationId(Uuid::from_u128(n)),
            quantity: units(2),
            expires_at: DateTime::from_timestamp(100, 0),
            origin: None,
            occurred_at: None,
        };
        let mut state = State::initial(&stream);
        let (quantity, reference, occurred_at, origin) = (units(9), None, None, None);
        let restocked = StockEvent::Restocked { quantity, reference, occurred_at, origin };
        for event in [restocked, reserved(1)] {
            state.evolve(Event::Stock(event)).expect("a shelf takes it");
        }
        let before = state.clone();
        state.evolve(Event::Stock(reserved(2))).expect("a shelf takes it");
        let hold = format!("/holds/{}", Uuid::from_u128(2));
        let paths: Vec<String> = changes(&before, &state).into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/available".to_owned(), hold, "/reserved".to_owned()]);
        assert!(changes(&state, &state).is_empty());
    }

    /// Small values, so that two of them often have much in common.
    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), (0..3_i64).prop_map(Value::from), "[a~/]".prop_map(Value::from)];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab/~]", inner, 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_stands_at_that_path_in_each(before in value(), after in value()) {
            let found = differences(&before, &after);
            for Difference { path, before: old, after: new } in &found {
                prop_assert_ne!(old, new);
                prop_assert_eq!(before.pointer(path).unwrap_or(&NOTHING), old);
                prop_assert_eq!(after.pointer(path).unwrap_or(&NOTHING), new);
            }
            // A field that is null and one that is not there are the same to a reader.
            let bare = |value: &Value| without_nulls(value.clone());
            prop_assert_eq!(found.is_empty(), bare(&before) == bare(&after));
        }
    }

    fn without_nulls(value: Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
            other => other,
        }
    }
}
