//! Executing a checked document: claiming idempotency keys, applying mutations, picking what was selected.
//! Claiming and applying are two steps, so that a slow request and its hasty repetition meet as they do live.

use graphql_parser::query::{Field, SelectionSet};
use serde_json::{Map, Value, json};

use super::document::{Document, error};
use super::idempotency::Claim;
use super::state::State;
use super::{mutations, queries, schema};

/// The body of a GraphQL request.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) query: String,
    pub(super) variables: Option<Map<String, Value>>,
    pub(super) operation_name: Option<String>,
}

/// Why one root field has no data: an error at the top of the answer.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What is known of a root field before it is applied.
pub(super) enum Start {
    /// It runs; the key is where its answer is to be kept.
    Runs(Option<String>),
    /// It is not applied, because this answer stands already.
    Stands(Value),
    /// It is not applied, because of its form.
    Refused(Refusal),
}

/// The answer to a document, before the cost is added to it.
pub(super) struct Outcome {
    pub(super) data: Map<String, Value>,
    pub(super) errors: Vec<Value>,
    pub(super) actual_cost: f64,
}

impl Document {
    /// The root fields in order.
    pub(super) fn roots(&self) -> Vec<&Field<'static, String>> {
        let mut roots = Vec::new();
        self.fields(&self.selection, self.root(), &mut roots);
        roots
    }

    /// Claims the idempotency keys and checks what needs no look at the stock.
    pub(super) fn start(&self, state: &mut State) -> Vec<Start> {
        self.roots().into_iter().map(|field| self.start_one(state, field)).collect()
    }

    fn start_one(&self, state: &mut State, field: &Field<'static, String>) -> Start {
        let arguments = self.arguments(&field.arguments);
        if let Err(refusal) = mutations::check_form(&field.name, &arguments) {
            return Start::Refused(refusal);
        }
        if field.name != "inventorySetQuantities" {
            return Start::Runs(None);
        }
        let directive = field.directives.iter().find(|directive| directive.name == "idempotent");
        let given = directive.map(|directive| self.arguments(&directive.arguments)).unwrap_or_default();
        let Some(key) = given.get("key").and_then(Value::as_str).filter(|key| !key.is_empty()) else {
            return Start::Refused(Refusal::new("BAD_REQUEST", "This mutation needs @idempotent with a key"));
        };
        let refused = |code: &str, message: &str| {
            Start::Stands(json!({
                "inventoryAdjustmentGroup": null,
                "userErrors": [{"field": null, "message": message, "code": code}],
            }))
        };
        match state.answers.claim(key, &Value::Object(arguments).to_string()) {
            Claim::New => Start::Runs(Some(key.to_owned())),
            Claim::Answered(answer) => Start::Stands(answer),
            Claim::UnderWay => {
                refused("IDEMPOTENCY_CONCURRENT_REQUEST", "A request with this key is being worked on")
            }
            Claim::Mismatch => {
                refused("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "This key was used with other values")
            }
        }
    }

    /// Applies what [`Self::start`] let through and picks the selected fields from the answers.
    pub(super) fn execute(&self, state: &mut State, starts: Vec<Start>) -> Outcome {
        let mut outcome = Outcome { data: Map::new(), errors: Vec::new(), actual_cost: 0.0 };
        for (field, start) in self.roots().into_iter().zip(starts) {
            let key = field.alias.as_ref().unwrap_or(&field.name).clone();
            if field.name == "__typename" {
                outcome.data.insert(key, json!(self.root()));
                continue;
            }
            if self.mutation {
                outcome.actual_cost += 10.0;
            }
            let answer = match start {
                Start::Refused(refusal) => Err(refusal),
                Start::Stands(answer) => Ok(answer),
                Start::Runs(idempotency_key) => {
                    let answer = self.apply(state, field);
                    if let (Some(key), Ok(answer)) = (idempotency_key, &answer) {
                        state.answers.store(&key, answer.clone());
                    }
                    answer
                }
            };
            let value = match answer {
                Ok(answer) => {
                    let kind = schema::field_type(self.root(), &field.name).unwrap_or("");
                    self.pick(&answer, &field.selection_set, kind, &mut outcome.actual_cost)
                }
                Err(refusal) => {
                    let mut error = error(&refusal.message, field.position, &json!({"code": refusal.code}));
                    error["path"] = json!([key]);
                    outcome.errors.push(error);
                    Value::Null
                }
            };
            outcome.data.insert(key, value);
        }
        outcome.actual_cost = outcome.actual_cost.min(self.requested_cost);
        outcome
    }

    fn apply(&self, state: &mut State, field: &Field<'static, String>) -> Result<Value, Refusal> {
        let arguments = self.arguments(&field.arguments);
        if self.mutation {
            Ok(mutations::apply(state, &field.name, &arguments))
        } else {
            queries::answer(state, &field.name, &arguments)
        }
    }

    /// Copies the selected fields of a value, under their aliases.
    fn pick(
        &self,
        value: &Value,
        selection: &SelectionSet<'static, String>,
        kind: &str,
        cost: &mut f64,
    ) -> Value {
        let object = match value {
            Value::Array(items) => {
                return items.iter().map(|item| self.pick(item, selection, kind, cost)).collect();
            }
            Value::Object(object) if !kind.is_empty() => object,
            other => return other.clone(),
        };
        let kind = object.get("__typename").and_then(Value::as_str).unwrap_or(kind);
        if schema::costs(kind) {
            *cost += 1.0;
        }
        let mut fields = Vec::new();
        self.fields(selection, kind, &mut fields);
        let mut picked = Map::new();
        for field in fields {
            let key = field.alias.as_ref().unwrap_or(&field.name);
            let value = if field.name == "__typename" {
                json!(kind)
            } else {
                let below = schema::field_type(kind, &field.name).unwrap_or("");
                let whole = object.get(&field.name).unwrap_or(&Value::Null);
                match self.narrow(whole, field) {
                    Some(narrowed) => self.pick(&narrowed, &field.selection_set, below, cost),
                    None => self.pick(whole, &field.selection_set, below, cost),
                }
            };
            picked.insert(key.clone(), value);
        }
        Value::Object(picked)
    }

    /// Applies the arguments of the fields below the root where they count.
    fn narrow(&self, value: &Value, field: &Field<'static, String>) -> Option<Value> {
        let arguments = || self.arguments(&field.arguments);
        match field.name.as_str() {
            "quantities" => {
                let arguments = arguments();
                let names = arguments.get("names").and_then(Value::as_array)?;
                let wanted = |row: &&Value| names.contains(&row["name"]);
                Some(value.as_array()?.iter().filter(wanted).cloned().collect())
            }
            "resourcePublicationsCount" if arguments().get("onlyPublished") == Some(&json!(false)) => {
                Some(json!({"count": value["with_future_ones"], "precision": value["precision"]}))
            }
            "inventoryLevel" if arguments().get("locationId") != Some(&value["location"]["id"]) => {
                Some(Value::Null)
            }
            _ => None,
        }
    }
}
