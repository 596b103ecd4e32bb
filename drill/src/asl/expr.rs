//! JSONata expressions of a definition: read once, checked for what Step Functions rejects.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use jsonata_core::parser;
use serde_json::Value;

use super::data::Data;

/// An expression, ready to be evaluated any number of times.
pub(super) struct Expr {
    /// The text between `{%` and `%}`.
    pub source: String,
    /// The field it stands in, as failures name it: `Output/items[0]`.
    pub field: String,
    parsed: Rc<Parsed>,
}

/// What is read from an expression's text, wherever it stands.
struct Parsed {
    ast: AstNode,
    walk: Walk,
}

/// Texts that a thread keeps parsed. A workflow has some two hundred expressions, most of them the same whatever is
/// configured; the rest hold numbers of the configuration.
const MAX_KEPT_COUNT: usize = 2_000;

thread_local! {
    /// Drills run by the thousand on one thread, each with a workflow of its own.
    static KEPT: RefCell<BTreeMap<String, Rc<Parsed>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Reads a text, or finds it read before.
fn parsed(source: &str) -> Result<Rc<Parsed>, Vec<Problem>> {
    if let Some(parsed) = KEPT.with_borrow(|kept| kept.get(source).cloned()) {
        return Ok(parsed);
    }
    let ast = parser::parse(source).map_err(|error| {
        let problem = format!("is no valid JSONata expression: {}", error.display_message());
        vec![Problem::new(problem, "see docs.jsonata.org; Step Functions uses JSONata 2.0.6")]
    })?;
    let mut walk = Walk::default();
    walk.node(&ast, true);
    let parsed = Rc::new(Parsed { ast, walk });
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= MAX_KEPT_COUNT {
            kept.clear();
        }
        kept.insert(source.to_owned(), Rc::clone(&parsed));
    });
    Ok(parsed)
}

/// A JSON value in which any string may be an expression.
pub(super) enum Template {
    Literal(Data),
    Expr(Expr),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

/// Which parts of `$states` a field may read.
#[derive(Clone, Copy, Default)]
pub(super) struct Offers {
    /// `$states.result`: after a Task, Parallel or Map state has done its work.
    pub result: bool,
    /// `$states.errorOutput`: in a Catch.
    pub error_output: bool,
    /// `$states.context.Map`: in an ItemSelector.
    pub map_item: bool,
}

/// What is wrong with an expression, and what to do instead.
#[derive(Clone)]
pub(super) struct Problem {
    pub problem: String,
    pub hint: &'static str,
}

impl Problem {
    fn new(problem: impl Into<String>, hint: &'static str) -> Problem {
        Problem { problem: problem.into(), hint }
    }
}

/// The expression in a string, if the whole string is one.
pub(super) fn expression_source(text: &str) -> Option<&str> {
    text.strip_prefix("{%")?.strip_suffix("%}")
}

impl Expr {
    /// Reads the text between the delimiters and reports everything Step Functions would reject
    /// when the state machine is created.
    pub fn parse(source: &str, field: &str, offers: Offers) -> Result<Expr, Vec<Problem>> {
        let source = source.trim();
        let parsed = parsed(source)?;
        let mut problems = parsed.walk.problems.clone();
        problems.extend(parsed.walk.problems_with(offers));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Expr { source: source.to_owned(), field: field.to_owned(), parsed })
    }

    /// The expression itself.
    pub fn ast(&self) -> &AstNode {
        &self.parsed.ast
    }

    /// Names that it reads as variables or calls as functions, without the `$`.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.parsed.walk.names
    }
}

impl Template {
    /// Whether nothing in it is to be evaluated.
    pub fn literal(value: &Value) -> Template {
        Template::Literal(Data::new(value.clone()))
    }
}

/// Collects the names an expression uses and the references it may not make.
#[derive(Default)]
struct Walk {
    names: BTreeSet<String>,
    /// Second steps of paths that begin with `$states`, and `context.X` for their third.
    states_fields: BTreeSet<String>,
    problems: Vec<Problem>,
}

const NO_CONTEXT: &str = "write $states.input.NAME for the state's input or $NAME for a variable";

impl Walk {
    /// Visits a node. At the top (`top`) there is no context item: only what a path, a filter, a
    /// sort or a transformation has selected can be read by a bare name.
    fn node(&mut self, node: &AstNode, top: bool) {
        match node {
            AstNode::String(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. }
            | AstNode::Wildcard
            | AstNode::Descendant
            | AstNode::Parent(_) => {}
            AstNode::Name(name) => self.bare_name(name, top),
            AstNode::Variable(name) if name.is_empty() => self.bare_name("$", top),
            AstNode::Variable(name) => self.name(name),
            AstNode::ParentVariable(_) => self
                .problems
                .push(Problem::new("refers to '$$', which Step Functions does not support", NO_CONTEXT)),
            AstNode::Path { steps } => self.path(steps, top),
            AstNode::Binary { op, lhs, rhs } => {
                self.operator(*op);
                self.node(lhs, top);
                self.node(rhs, top);
            }
            AstNode::Unary { operand, .. } => self.node(operand, top),
            AstNode::Function { name, args, is_builtin } => {
                if *is_builtin {
                    self.name(name);
                } else {
                    self.bare_name(name, top);
                }
                self.nodes(args, top);
            }
            AstNode::Call { procedure, args } => {
                self.node(procedure, top);
                self.nodes(args, top);
            }
            AstNode::Lambda { body, .. } => self.node(body, top),
            AstNode::Array(items) | AstNode::Block(items) | AstNode::ArrayGroup(items) => {
                self.nodes(items, top);
            }
            AstNode::Object(pairs) => self.pairs(pairs, top),
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input, top);
                self.pairs(pattern, false);
            }
            AstNode::Conditional { condition, then_branch, else_branch } => {
                self.node(condition, top);
                self.node(then_branch, top);
                if let Some(otherwise) = else_branch {
                    self.node(otherwise, top);
                }
            }
            AstNode::FunctionApplication(inner) => self.node(inner, top),
            AstNode::Sort { input, terms } => {
                self.node(input, top);
                terms.iter().for_each(|(term, _)| self.node(term, false));
            }
            AstNode::Transform { location, update, delete } => {
                self.node(location, false);
                self.node(update, false);
                if let Some(delete) = delete {
                    self.node(delete, false);
                }
            }
        }
    }

    fn nodes(&mut self, nodes: &[AstNode], top: bool) {
        nodes.iter().for_each(|node| self.node(node, top));
    }

    fn pairs(&mut self, pairs: &[(AstNode, AstNode)], top: bool) {
        for (key, value) in pairs {
            self.node(key, top);
            self.node(value, top);
        }
    }

    fn path(&mut self, steps: &[PathStep], top: bool) {
        self.states_path(steps);
        for (index, step) in steps.iter().enumerate() {
            self.node(&step.node, top && index == 0);
            for stage in &step.stages {
                if let Stage::Filter(filter) = stage {
                    self.node(filter, false);
                }
            }
        }
    }

    fn states_path(&mut self, steps: &[PathStep]) {
        let step_name = |index: usize| match steps.get(index).map(|step| &step.node) {
            Some(AstNode::Name(name) | AstNode::String(name)) => Some(name.as_str()),
            _ => None,
        };
        let first = steps.first().map(|step| &step.node);
        if !matches!(first, Some(AstNode::Variable(name)) if name == "states") {
            return;
        }
        match (step_name(1), step_name(2)) {
            (Some("context"), Some(field)) => {
                self.states_fields.insert(format!("context.{field}"));
            }
            (Some(field), _) => {
                self.states_fields.insert(field.to_owned());
            }
            (None, _) => {}
        }
    }

    fn bare_name(&mut self, name: &str, top: bool) {
        if top {
            let problem = format!("refers to '{name}' at the top level, where nothing is selected");
            self.problems.push(Problem::new(problem, NO_CONTEXT));
        }
    }

    fn name(&mut self, name: &str) {
        if name == "eval" {
            self.problems.push(Problem::new(
                "uses $eval, which Step Functions does not offer",
                "use $parse to read JSON",
            ));
        }
        self.names.insert(name.to_owned());
    }

    fn operator(&mut self, op: BinaryOp) {
        let (text, hint) = match op {
            BinaryOp::Coalesce => ("??", "write $exists($x) ? $x : DEFAULT"),
            BinaryOp::Default => ("?:", "write $x ? $x : DEFAULT"),
            _ => return,
        };
        let problem = format!("uses the operator '{text}', which JSONata 2.0.6 does not have");
        self.problems.push(Problem::new(problem, hint));
    }

    /// What is wrong with the expression in a field that offers this.
    fn problems_with(&self, offers: Offers) -> Vec<Problem> {
        let mut problems = Vec::new();
        for field in &self.states_fields {
            let (offered, hint) = match field.as_str() {
                "input" | "context" => (true, ""),
                "result" => {
                    (offers.result, "$states.result is there in Output and Assign of Task, Parallel and Map")
                }
                "errorOutput" => {
                    (offers.error_output, "$states.errorOutput is there in Output and Assign of a Catch")
                }
                "context.Map" => (
                    offers.map_item,
                    "$states.context.Map is there in ItemSelector; pass on from it what is needed",
                ),
                name if name.starts_with("context.") => (true, ""),
                _ => (false, "$states has input, result, errorOutput and context"),
            };
            if !offered {
                let problem = format!("reads $states.{field}, which does not exist here");
                problems.push(Problem::new(problem, hint));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is reported for an expression in a field that offers nothing special.
    fn check(source: &str, expected: &[&str]) {
        let problems = match Expr::parse(source, "Output", Offers::default()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems,
        };
        assert_eq!(problems.len(), expected.len(), "{source}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.problem.contains(part), "{source}: {}", problem.problem);
        }
    }

    #[test]
    fn names_without_an_anchor_are_refused() {
        for source in [
            "name",
            "name[0].a",
            "name.a.b",
            "-name",
            "name ? 1 : 2",
            "$states.input.a ? name : 2",
            "$sum(name)",
            "name(1)",
            "name ~> $string()",
            "[1..name]",
            "(name).a",
            "[name].a",
            "{name: 1}",
            "($x := name; $x)",
            "$map($states.input.a, function($y){ name })",
        ] {
            check(source, &["'name'"]);
        }
        check("first + second", &["'first'", "'second'"]);
        check("$.name", &["'$'"]);
        check("$string($)", &["'$'"]);
        check("$$.name", &["'$$'"]);
    }

    #[test]
    fn names_within_what_is_selected_are_fine() {
        for source in [
            "$states.input.name",
            "$states.input.list[name > 3]",
            "$states.input.list^(name)",
            "$states.input.list{'k': name}",
            "$states.input.list.(name)",
            "$states.input.list[$ > 1]",
            "$states.input ~> |name|{'b': 1}|",
            "$map($states.input.list, function($x){ $x.name })",
            "{'k': 1}.name",
            "$variable.name",
            "'name'",
            "$now()",
            "$states",
        ] {
            check(source, &[]);
        }
    }

    #[test]
    fn what_step_functions_lacks_is_refused() {
        check("$eval('1')", &["$eval"]);
        check("$map(['1'], $eval)", &["$eval"]);
        check("$a ?? 1", &["'??'"]);
        check("$a ?: 1", &["'?:'"]);
        check("1 +", &["no valid JSONata"]);
        check("", &["no valid JSONata"]);
    }

    #[test]
    fn parts_of_states_are_offered_by_field() {
        check("$states.result.a", &["$states.result"]);
        check("$states.errorOutput.Cause", &["$states.errorOutput"]);
        check("$states.context.Map.Item.Index", &["$states.context.Map"]);
        check("$states.error", &["$states.error"]);
        check("$states.context.Execution.Id", &[]);
        let all = Offers { result: true, error_output: true, map_item: true };
        let source = "[$states.result, $states.errorOutput, $states.context.Map.Item.Value]";
        assert!(Expr::parse(source, "Output", all).is_ok());
    }

    #[test]
    fn names_are_collected_wherever_they_stand() {
        let source = "$a.b[$c = 1].($uuid() & $d) ~> $f";
        let names = Expr::parse(source, "Output", Offers::default()).map(|e| e.names().clone());
        let names: Vec<String> = names.unwrap_or_default().into_iter().collect();
        assert_eq!(names, ["a", "c", "d", "f", "uuid"]);
    }
}
