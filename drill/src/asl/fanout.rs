//! Parallel and Map states: several chains of states at once.

use serde_json::{Value, json};

use super::data::Data;
use super::eval::Variables;
use super::failure::Failure;
use super::history::{Chain, Details, EventKind};
use super::host::Host;
use super::model::{Graph, MapState, Parallel};
use super::run::{Here, Left, Run};
use crate::sim::try_join_bounded;

/// The most iterations of an inline Map that run at once (Step Functions quota).
const MAX_CONCURRENCY_COUNT: usize = 40;

impl<H: Host> Run<'_, H> {
    pub(super) async fn attempt_parallel(
        &self,
        here: &Here<'_>,
        parallel: &Parallel,
    ) -> Result<Left, Failure> {
        let view = self.view(here);
        let input = match &parallel.arguments {
            Some(template) => self.eval(here, view.template(template))?,
            None => here.input.clone(),
        };
        drop(view);
        self.check_size(here, "What the branches are given", &input)?;
        self.emit(here.chain, EventKind::ParallelStateStarted, Details::of(&here.state.name))?;
        let started_id = here.chain.last_id();
        let count = parallel.branches.len();
        let branches = try_join_bounded(count, count, |index| {
            let (graph, input) = (&parallel.branches[index], input.clone());
            async move { self.inner(here, graph, input, &Chain::after(started_id)).await }
        });
        let kinds = (EventKind::ParallelStateSucceeded, EventKind::ParallelStateFailed);
        self.gather(here, branches.await, kinds)
    }

    pub(super) async fn attempt_map(&self, here: &Here<'_>, map: &MapState) -> Result<Left, Failure> {
        let items = self.items(here, map)?;
        let limit = match &map.max_concurrency {
            Some(field) => self.eval(here, self.view(here).number(field, 0))?,
            None => 0,
        };
        // Zero means "no limit of its own".
        let limit = match usize::try_from(limit) {
            Ok(0) | Err(_) => MAX_CONCURRENCY_COUNT,
            Ok(limit) => limit.min(MAX_CONCURRENCY_COUNT),
        };
        let details = Details { count: Some(items.len() as u64), ..Details::of(&here.state.name) };
        self.emit(here.chain, EventKind::MapStateStarted, details)?;
        let started_id = here.chain.last_id();
        let iterations = try_join_bounded(items.len(), limit, |index| {
            let item = &items[index];
            async move { self.iteration(here, map, index, item, &Chain::after(started_id)).await }
        });
        let kinds = (EventKind::MapStateSucceeded, EventKind::MapStateFailed);
        self.gather(here, iterations.await, kinds)
    }

    fn items(&self, here: &Here<'_>, map: &MapState) -> Result<Vec<Value>, Failure> {
        match (&map.items, here.input.json()) {
            (Some(template), _) => self.eval(here, self.view(here).array(template)),
            (None, Value::Array(items)) => Ok(items.clone()),
            (None, _) => {
                let text = "The state has no Items and its input is no array: what AWS does then is \
                            not documented.";
                Err(Failure::not_supported(here.explain(text)))
            }
        }
    }

    async fn iteration(
        &self,
        here: &Here<'_>,
        map: &MapState,
        index: usize,
        item: &Value,
        chain: &Chain,
    ) -> Result<(Data, u64), Failure> {
        let details = || Details { count: Some(index as u64), ..Details::of(&here.state.name) };
        self.emit(chain, EventKind::MapIterationStarted, details())?;
        let input = self.iteration_input(here, map, index, item)?;
        let ended = self.inner(here, &map.processor, input, chain).await;
        match ended {
            Ok((output, _)) => {
                let id = self.emit(chain, EventKind::MapIterationSucceeded, details())?;
                Ok((output, id))
            }
            Err(failure) => {
                self.emit(chain, EventKind::MapIterationFailed, details())?;
                Err(failure)
            }
        }
    }

    fn iteration_input(
        &self,
        here: &Here<'_>,
        map: &MapState,
        index: usize,
        item: &Value,
    ) -> Result<Data, Failure> {
        let item = Data::new(item.clone());
        let Some(selector) = &map.item_selector else { return Ok(item) };
        let context = Data::new(json!({
            "Index": index, "Source": "STATE_DATA", "Value": item.json(),
        }));
        let mut view = self.view(here);
        view.map_item = context.jsonata().ok();
        let input = self.eval(here, view.template(selector))?;
        self.check_size(here, "What an iteration is given", &input)?;
        Ok(input)
    }

    /// Runs a chain of states of its own, with variables of its own. Answers with its output and
    /// its last event.
    async fn inner(
        &self,
        here: &Here<'_>,
        graph: &Graph,
        input: Data,
        chain: &Chain,
    ) -> Result<(Data, u64), Failure> {
        let variables = Variables::new(Some(here.variables));
        let output = self.graph(graph, input, &variables, chain).await?;
        Ok((output, chain.last_id()))
    }

    /// Joins the chains: the outputs become the state's result, in the order of the definition.
    fn gather(
        &self,
        here: &Here<'_>,
        ended: Result<Vec<(Data, u64)>, Failure>,
        (succeeded, failed): (EventKind, EventKind),
    ) -> Result<Left, Failure> {
        let outputs = match ended {
            Ok(outputs) => outputs,
            Err(failure) => {
                let (error, cause) = (failure.error.clone(), failure.cause.clone());
                let details = Details { error, cause, ..Details::of(&here.state.name) };
                self.emit(here.chain, failed, details)?;
                return Err(failure);
            }
        };
        if let Some(last_id) = outputs.iter().map(|(_, id)| *id).max() {
            here.chain.advance(last_id);
        }
        let result: Vec<Value> = outputs.iter().map(|(output, _)| output.json().clone()).collect();
        let result = Data::new(Value::Array(result));
        self.check_size(here, "The state's result", &result)?;
        self.emit(here.chain, succeeded, Details::of(&here.state.name))?;
        let mut view = self.view(here);
        view.result = Some(&result);
        self.finish(here, &view, &here.state.exit, &result)
    }
}
