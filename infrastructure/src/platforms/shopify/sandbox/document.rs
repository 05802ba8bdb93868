//! Reading a GraphQL document: parsing, picking the operation, resolving arguments, checking against the schema.
//! All of it happens before anything is applied, because a refused document must leave the shop as it was.

use std::collections::HashMap;

use graphql_parser::Pos;
use graphql_parser::query::{
    Definition, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
};
use graphql_parser::query::{TypeCondition, Value as Literal, VariableDefinition};
use serde_json::{Map, Value, json};

use super::graphql::Request;
use super::schema;

/// Selections looked at, and levels descended, before a document counts as too big: fragments within fragments
/// multiply, and one within itself has no end.
const SELECTIONS_MAX: usize = 5_000;
const DEPTH_MAX: usize = 40;

/// A checked document, ready to be executed.
pub(super) struct Document {
    pub(super) mutation: bool,
    pub(super) selection: SelectionSet<'static, String>,
    /// The cost that is reserved before execution.
    pub(super) requested_cost: f64,
    fragments: HashMap<String, FragmentDefinition<'static, String>>,
    variables: Map<String, Value>,
}

impl Document {
    /// Reads and checks a request; a refusal is the list of errors the platform would send, without data.
    pub(super) fn read(request: Request) -> Result<Self, Vec<Value>> {
        let parsed = graphql_parser::parse_query::<String>(&request.query)
            .map_err(|error| vec![json!({"message": format!("The document cannot be read: {error}")})])?
            .into_static();
        let mut operations = Vec::new();
        let mut fragments = HashMap::new();
        for definition in parsed.definitions {
            match definition {
                Definition::Fragment(fragment) => drop(fragments.insert(fragment.name.clone(), fragment)),
                Definition::Operation(operation) => operations.push(operation_parts(operation)),
            }
        }
        let wanted = request.operation_name.as_deref();
        if wanted.is_some() {
            operations.retain(|operation| operation.name.as_deref() == wanted);
        }
        let (Some(operation), true) = (operations.pop(), operations.is_empty()) else {
            return Err(vec![
                json!({"message": "The document must hold exactly one operation of that name"}),
            ]);
        };
        let mut errors = Vec::new();
        let variables = variables(&operation.variables, request.variables.unwrap_or_default(), &mut errors);
        let mut document = Self {
            mutation: operation.mutation,
            selection: operation.selection,
            requested_cost: 0.0,
            fragments,
            variables,
        };
        let root = document.root();
        let mut check = Check { document: &document, errors, seen: 0, depth: 0 };
        let cost = check.selection(&document.selection, root);
        let errors = check.errors;
        document.requested_cost = cost;
        if errors.is_empty() { Ok(document) } else { Err(errors) }
    }

    pub(super) fn root(&self) -> &'static str {
        if self.mutation { "Mutation" } else { "QueryRoot" }
    }

    /// The fields selected on an object of this type, with fragments that fit it spread out.
    pub(super) fn fields<'a>(
        &'a self,
        selection: &'a SelectionSet<'static, String>,
        kind: &str,
        into: &mut Vec<&'a Field<'static, String>>,
    ) {
        for item in &selection.items {
            match item {
                Selection::Field(field) => into.push(field),
                Selection::InlineFragment(fragment) => {
                    if fragment.type_condition.as_ref().is_none_or(|condition| fits(condition, kind)) {
                        self.fields(&fragment.selection_set, kind, into);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.fragment_name)
                        && fits(&fragment.type_condition, kind)
                    {
                        self.fields(&fragment.selection_set, kind, into);
                    }
                }
            }
        }
    }

    /// The arguments of a field; a variable that was not given leaves its argument out.
    pub(super) fn arguments(&self, arguments: &[(String, Literal<'static, String>)]) -> Map<String, Value> {
        let given = |literal: &Literal<'static, String>| match literal {
            Literal::Variable(name) => self.variables.get(name).cloned(),
            other => Some(self.resolve(other)),
        };
        arguments.iter().filter_map(|(name, literal)| Some((name.clone(), given(literal)?))).collect()
    }

    fn resolve(&self, literal: &Literal<'static, String>) -> Value {
        match literal {
            Literal::Variable(name) => self.variables.get(name).cloned().unwrap_or(Value::Null),
            Literal::Int(number) => json!(number.as_i64()),
            Literal::Float(number) => json!(number),
            Literal::String(text) | Literal::Enum(text) => json!(text),
            Literal::Boolean(flag) => json!(flag),
            Literal::Null => Value::Null,
            Literal::List(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Literal::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.resolve(value)))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

fn fits(condition: &TypeCondition<'static, String>, kind: &str) -> bool {
    let TypeCondition::On(name) = condition;
    name == kind || name == "Node"
}

struct Operation {
    mutation: bool,
    name: Option<String>,
    variables: Vec<VariableDefinition<'static, String>>,
    selection: SelectionSet<'static, String>,
}

fn operation_parts(operation: OperationDefinition<'static, String>) -> Operation {
    let (mutation, name, variables, selection) = match operation {
        OperationDefinition::SelectionSet(selection) => (false, None, Vec::new(), selection),
        OperationDefinition::Query(query) => {
            (false, query.name, query.variable_definitions, query.selection_set)
        }
        OperationDefinition::Mutation(mutation) => {
            (true, mutation.name, mutation.variable_definitions, mutation.selection_set)
        }
        // Its fields are unknown to the query root, which is what the caller is then told.
        OperationDefinition::Subscription(it) => (false, it.name, it.variable_definitions, it.selection_set),
    };
    Operation { mutation, name, variables, selection }
}

/// The declared variables with their values or defaults; what was not declared is ignored.
fn variables(
    declared: &[VariableDefinition<'static, String>],
    mut given: Map<String, Value>,
    errors: &mut Vec<Value>,
) -> Map<String, Value> {
    let mut known = Map::new();
    for variable in declared {
        let kind = variable.var_type.to_string();
        let value = given.remove(&variable.name).or_else(|| variable.default_value.as_ref().map(constant));
        if kind.ends_with('!') && value.as_ref().is_none_or(Value::is_null) {
            let problems = json!([{"path": [], "explanation": "A value is required here"}]);
            errors.push(invalid_variable(&variable.name, &kind, &Value::Null, &problems, variable.position));
        }
        known.extend(value.map(|value| (variable.name.clone(), value)));
    }
    known
}

fn constant(literal: &Literal<'static, String>) -> Value {
    let nothing = Document {
        mutation: false,
        selection: SelectionSet { span: (Pos::default(), Pos::default()), items: Vec::new() },
        requested_cost: 0.0,
        fragments: HashMap::new(),
        variables: Map::new(),
    };
    nothing.resolve(literal)
}

fn invalid_variable(name: &str, kind: &str, value: &Value, problems: &Value, at: Pos) -> Value {
    let detail = json!({"code": "INVALID_VARIABLE", "value": value, "problems": problems});
    error(&format!("The value of ${name} does not fit {kind}"), at, &detail)
}

pub(super) fn error(message: &str, at: Pos, extensions: &Value) -> Value {
    json!({"message": message, "locations": [{"line": at.line, "column": at.column}], "extensions": extensions})
}

/// Walks a document once: collects what is wrong with it and adds up what it may cost.
struct Check<'a> {
    document: &'a Document,
    errors: Vec<Value>,
    seen: usize,
    depth: usize,
}

impl Check<'_> {
    fn selection(&mut self, selection: &SelectionSet<'static, String>, on: &str) -> f64 {
        self.depth += 1;
        let cost = selection.items.iter().map(|item| self.item(item, on)).sum();
        self.depth -= 1;
        cost
    }

    fn item(&mut self, item: &Selection<'static, String>, on: &str) -> f64 {
        self.seen += 1;
        if self.seen > SELECTIONS_MAX || self.depth > DEPTH_MAX {
            if self.errors.is_empty() {
                self.errors.push(json!({"message": "The document selects too much or nests too deeply"}));
            }
            return 0.0;
        }
        match item {
            Selection::Field(field) => self.field(field, on),
            Selection::InlineFragment(fragment) => {
                let condition = fragment.type_condition.as_ref().map(|TypeCondition::On(name)| name.as_str());
                self.fragment(&fragment.selection_set, condition.unwrap_or(on), fragment.position)
            }
            Selection::FragmentSpread(spread) => match self.document.fragments.get(&spread.fragment_name) {
                Some(fragment) => {
                    let TypeCondition::On(name) = &fragment.type_condition;
                    self.fragment(&fragment.selection_set, name, spread.position)
                }
                None => {
                    let detail =
                        json!({"code": "useAndDefineFragment", "fragmentName": spread.fragment_name});
                    self.refuse("A fragment is spread that is not defined", spread.position, &detail)
                }
            },
        }
    }

    fn fragment(&mut self, selection: &SelectionSet<'static, String>, on: &str, at: Pos) -> f64 {
        if schema::is_object(on) {
            return self.selection(selection, on);
        }
        self.refuse(
            &format!("This shop has no type {on}"),
            at,
            &json!({"code": "undefinedType", "typeName": on}),
        )
    }

    fn field(&mut self, field: &Field<'static, String>, on: &str) -> f64 {
        if field.name == "__typename" {
            return 0.0;
        }
        let Some(kind) = schema::field_type(on, &field.name) else {
            let detail = json!({"code": "undefinedField", "typeName": on, "fieldName": field.name});
            return self.refuse(&format!("{on} has no field {}", field.name), field.position, &detail);
        };
        if kind.is_empty() != field.selection_set.items.is_empty() {
            let detail = json!({"code": "selectionMismatch", "nodeName": field.name, "typeName": kind});
            return self.refuse(
                &format!("{} is selected the wrong way", field.name),
                field.position,
                &detail,
            );
        }
        let arguments = self.arguments(field, on);
        let own = if on == "Mutation" {
            10.0
        } else {
            f64::from(u8::from(!kind.is_empty() && schema::costs(kind)))
        };
        let each = own + self.selection(&field.selection_set, kind);
        let times = match field.name.as_str() {
            "nodes" if on == "QueryRoot" => {
                arguments.get("ids").and_then(Value::as_array).map_or(1, Vec::len) as f64
            }
            _ if kind.ends_with("Connection") => {
                arguments.get("first").and_then(Value::as_f64).unwrap_or(1.0)
            }
            _ => 1.0,
        };
        each * times.clamp(1.0, 250.0)
    }

    fn arguments(&mut self, field: &Field<'static, String>, on: &str) -> Map<String, Value> {
        let at = field.position;
        let values = self.document.arguments(&field.arguments);
        for (name, literal) in &field.arguments {
            let Some((_, kind)) = schema::arguments(on, &field.name).find(|(known, _)| known == name) else {
                let detail = json!({"code": "argumentNotAccepted", "name": field.name, "argumentName": name});
                self.refuse(&format!("{} takes no argument {name}", field.name), at, &detail);
                continue;
            };
            let Some(value) = values.get(name) else { continue };
            let problems = schema::problems(value, kind);
            if problems.is_empty() {
                continue;
            }
            let error = match literal {
                Literal::Variable(variable) => invalid_variable(variable, kind, value, &json!(problems), at),
                _ => {
                    let code = "argumentLiteralsIncompatible";
                    let code = json!({"code": code, "argumentName": name, "problems": problems});
                    error(&format!("The argument {name} of {} does not fit {kind}", field.name), at, &code)
                }
            };
            self.errors.push(error);
        }
        let required = schema::arguments(on, &field.name).filter(|(_, kind)| kind.ends_with('!'));
        for (name, _) in required.filter(|(name, _)| !values.contains_key(*name)) {
            let detail = json!({"code": "missingRequiredArguments", "name": field.name, "arguments": name});
            self.refuse(&format!("{} needs the argument {name}", field.name), at, &detail);
        }
        values
    }

    /// Notes an error; what is refused costs nothing.
    fn refuse(&mut self, message: &str, at: Pos, extensions: &Value) -> f64 {
        self.errors.push(error(message, at, extensions));
        0.0
    }
}
