//! The traffic of `breaker tune --from-cloudwatch`.

use std::time::Duration;

use drill::tune::{MAX_INTERVALS, Profile};
use infra::aws::{self, SENT_METRIC, Stretch, Target};
use workflow::config::CircuitConfig;

use super::{block_on, connect_to, problem, target_of};
use crate::args::TargetArgs;
use crate::printer::Printer;
use crate::problem::{Problem, Refusal};
use crate::text::{grouped, span};

/// What the name of the circuit's queue is taken from.
struct Queue<'a> {
    region: &'a str,
    account: &'a str,
    name: &'a str,
}

impl<'a> Queue<'a> {
    fn of(circuit: &'a CircuitConfig) -> Option<Queue<'a>> {
        let arn: Vec<&str> = circuit.consumer.as_ref()?.queue_arn.split(':').collect();
        let [_, _, _, region, account, name] = arn[..] else { return None };
        Some(Queue { region, account, name })
    }
}

/// What was sent to the circuit's queue in the time before now, as CloudWatch has counted it.
pub fn from_cloudwatch(
    name: &str,
    circuit: &CircuitConfig,
    length: Duration,
    target: &TargetArgs,
    printer: &mut Printer,
) -> Result<Profile, Refusal> {
    let queue = Queue::of(circuit).ok_or_else(|| {
        Problem::error(format!(
            "the circuit {name} has no queue of yours that CloudWatch could be asked about"
        ))
        .allowed("a circuit with a consumer, which `breaker init --function NAME` writes")
        .hint("take another circuit with --circuit, or a file with --traffic")
    })?;
    if let Some(region) = target.region.as_ref().filter(|region| *region != queue.region) {
        return Err(Problem::error(format!(
            "the queue {} is in {}, not in {region}",
            queue.name, queue.region
        ))
        .hint("leave --region away: the queue's ARN in the configuration says which it is")
        .into());
    }
    let target = Target { region: Some(queue.region.to_owned()), ..target_of(target) };
    block_on(async {
        let account = connect_to(&target, printer).await?;
        if account.id != queue.account {
            return Err(Problem::error(format!(
                "the queue {} is in the account {}, and these credentials are of {}",
                queue.name, queue.account, account.id
            ))
            .hint("name the profile of that account with --profile")
            .into());
        }
        let stretch = Stretch::before(aws::now_ms() / 1_000, length.as_secs(), MAX_INTERVALS as u64);
        let counts = aws::messages_sent(&account, queue.name, stretch).await.map_err(problem)?;
        let Some((&first_s, _)) = counts.first_key_value() else {
            return Err(Problem::error(format!(
                "CloudWatch has no {SENT_METRIC} of the queue {} in the last {}",
                queue.name,
                span(length.as_secs_f64())
            ))
            .hint(
                "ask for a longer time; `aws sqs get-queue-attributes` tells whether the queue is the one meant; or take a file \
                 with --traffic",
            )
            .into());
        };
        printer.note(&format!(
            "{SENT_METRIC} of the queue {}: {} messages in the {} since its first data point",
            queue.name,
            grouped(counts.values().sum::<f64>() as u64),
            span((stretch.until_s - first_s) as f64),
        ));
        // What lies before the first data point may be from before the queue was made; after it, no data point is no message.
        let rows: Vec<(i64, f64)> = (first_s..stretch.until_s)
            .step_by(stretch.period_s as usize)
            .map(|at_s| (at_s as i64, counts.get(&at_s).copied().unwrap_or_default()))
            .collect();
        Ok(Profile::from_rows(&rows).map_err(|error| {
            Problem::caused(format!("the traffic of the queue {} cannot be used", queue.name), &error)
                .hint("ask for a longer time, or take a file with --traffic")
        })?)
    })
}
