use std::cell::RefCell;
use std::rc::Rc;

use rand::{Rng, RngExt};

use super::*;

const FOREVER: Time = Time::from_ms(u64::MAX);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What happened when, in the words of the test.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn add(&self, sim: &Sim, what: impl std::fmt::Display) {
        let at = (sim.now() - SIM_START).as_millis();
        self.0.borrow_mut().push(format!("{at} {what}"));
    }
    fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// Runs `body` in a simulation and compares what it logged.
fn check(body: impl FnOnce(&Sim, &Log), expected: &[&str]) {
    let (sim, log) = (Sim::new(1), Log::default());
    body(&sim, &log);
    sim.run_until(SIM_START + ms(1000));
    assert_eq!(log.lines(), expected);
    assert_eq!(sim.now(), SIM_START + ms(1000));
    sim.clear();
}

fn spawn_logger(sim: &Sim, log: &Log, name: &'static str, wait_ms: u64) -> TaskId {
    let (own, log) = (sim.clone(), log.clone());
    sim.spawn(async move {
        own.sleep(ms(wait_ms)).await;
        log.add(&own, name);
    })
}

#[test]
fn events_happen_by_time_then_by_order_of_scheduling() {
    check(
        |sim, log| {
            for (name, at) in [("late", 30), ("a", 10), ("b", 10), ("first", 0), ("c", 10)] {
                let log = log.clone();
                sim.at(SIM_START + ms(at), move |sim| log.add(sim, name));
            }
            spawn_logger(sim, log, "task", 10);
        },
        &["0 first", "10 a", "10 b", "10 c", "10 task", "30 late"],
    );
}

#[test]
fn a_past_instant_happens_now_behind_what_is_due() {
    check(
        |sim, log| {
            let outer = log.clone();
            sim.at(SIM_START + ms(5), move |sim| {
                let (past, due) = (outer.clone(), outer.clone());
                sim.at(SIM_START + ms(5), move |sim| due.add(sim, "due"));
                sim.at(SIM_START, move |sim| past.add(sim, "past"));
                outer.add(sim, "outer");
            });
        },
        &["5 outer", "5 due", "5 past"],
    );
}

#[test]
fn a_cancelled_task_is_dropped_where_it_waits() {
    struct OnDrop(Log, Sim);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            // A destructor may use the simulation: it must not find it borrowed.
            let log = self.0.clone();
            self.1.at(self.1.now(), move |sim| log.add(sim, "cleaned up"));
        }
    }
    check(
        |sim, log| {
            let (own, guard) = (sim.clone(), OnDrop(log.clone(), sim.clone()));
            let inner = log.clone();
            let victim = sim.spawn(async move {
                let _guard = guard;
                own.sleep(ms(100)).await;
                inner.add(&own, "never");
            });
            let (own, log) = (sim.clone(), log.clone());
            sim.spawn(async move {
                own.sleep(ms(10)).await;
                assert!(own.is_alive(victim));
                own.cancel(victim);
                own.cancel(victim);
                assert!(!own.is_alive(victim));
                // The slot is free for another task, which the old name does not reach.
                let next = spawn_logger(&own, &log, "successor", 5);
                own.cancel(victim);
                assert!(own.is_alive(next));
            });
        },
        &["10 cleaned up", "15 successor"],
    );
}

#[test]
fn a_task_may_cancel_itself() {
    check(
        |sim, log| {
            let id = Rc::new(Cell::new(None));
            let (own, own_id, inner) = (sim.clone(), id.clone(), log.clone());
            id.set(Some(sim.spawn(async move {
                own.cancel(own_id.get().expect("set below before the task runs"));
                inner.add(&own, "goes on to its next wait");
                own.sleep(ms(1)).await;
                inner.add(&own, "never");
            })));
        },
        &["0 goes on to its next wait"],
    );
}

#[test]
fn the_left_future_wins_a_tie() {
    check(
        |sim, log| {
            let (own, log) = (sim.clone(), log.clone());
            sim.spawn(async move {
                for (left, right) in [(5, 5), (9, 3), (2, 7)] {
                    let won = race(own.sleep(ms(left)), own.sleep(ms(right))).await;
                    log.add(&own, format_args!("{won:?}"));
                }
            });
        },
        &["5 Left(())", "8 Right(())", "10 Left(())"],
    );
}

#[test]
fn a_timeout_ends_what_is_too_slow() {
    check(
        |sim, log| {
            let (own, log) = (sim.clone(), log.clone());
            sim.spawn(async move {
                for wait_ms in [10, 20, 21] {
                    let result = timeout(&own, ms(20), own.sleep(ms(wait_ms))).await;
                    log.add(&own, format_args!("{result:?}"));
                }
            });
        },
        &["10 Ok(())", "30 Ok(())", "50 Err(Elapsed)"],
    );
}

#[test]
fn a_channel_carries_one_value_or_its_absence() {
    check(
        |sim, log| {
            let (send, receive) = oneshot();
            let (unused, silent) = oneshot::<u8>();
            let (own, inner) = (sim.clone(), log.clone());
            sim.spawn(async move {
                inner.add(&own, format_args!("{:?}", receive.await));
                inner.add(&own, format_args!("{:?}", silent.await));
            });
            sim.at(SIM_START + ms(3), move |_| send.send(7).expect("the receiver waits"));
            sim.at(SIM_START + ms(4), move |_| drop(unused));
        },
        &["3 Some(7)", "4 None"],
    );
    let (send, receive) = oneshot();
    drop(receive);
    assert!(send.is_abandoned());
    assert_eq!(send.send("back"), Err("back"));
}

#[test]
fn a_condition_wakes_all_who_wait() {
    check(
        |sim, log| {
            let (notify, level) = (Notify::new(), Rc::new(Cell::new(0)));
            for wanted in [2, 1, 2] {
                let (own, log) = (sim.clone(), log.clone());
                let (notify, level) = (notify.clone(), level.clone());
                sim.spawn(async move {
                    notify.wait_until(|| level.get() >= wanted).await;
                    log.add(&own, format_args!("level {wanted}"));
                });
            }
            for at in [10, 20] {
                let (notify, level) = (notify.clone(), level.clone());
                sim.at(SIM_START + ms(at), move |_| {
                    level.set(level.get() + 1);
                    notify.notify_all();
                });
            }
        },
        &["10 level 1", "20 level 2", "20 level 2"],
    );
}

#[test]
fn a_run_may_stop_on_a_condition() {
    let (sim, log) = (Sim::new(1), Log::default());
    spawn_logger(&sim, &log, "one", 10);
    spawn_logger(&sim, &log, "two", 20);
    let seen = log.clone();
    sim.run_while(SIM_START + ms(50), move || seen.lines().is_empty());
    assert_eq!(sim.now(), SIM_START + ms(10));
    sim.run_until(SIM_START + ms(19));
    assert_eq!(log.lines(), ["10 one"]);
    sim.run_until(SIM_START + ms(20));
    assert_eq!(log.lines(), ["10 one", "20 two"]);
}

#[test]
fn random_streams_depend_on_seed_and_name_only() {
    let draw = |seed, name| Sim::new(seed).rng(name).next_u64();
    assert_eq!(draw(1, "jitter"), draw(1, "jitter"));
    assert_ne!(draw(1, "jitter"), draw(2, "jitter"));
    assert_ne!(draw(1, "jitter"), draw(1, "faults"));
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed| {
        let (sim, log) = (Sim::new(seed), Log::default());
        for task in 0..20 {
            let (own, log) = (sim.clone(), log.clone());
            sim.spawn(async move {
                let mut rng = own.rng(&format!("task {task}"));
                for _ in 0..20 {
                    own.sleep(ms(rng.random_range(0..40))).await;
                    log.add(&own, task);
                }
            });
        }
        sim.run_until(SIM_START + ms(1000));
        (log.lines(), sim.events_run())
    };
    assert_eq!(run(42), run(42));
    assert_ne!(run(42).0, run(43).0);
}

#[test]
fn dropped_sleeps_do_not_pile_up() {
    let sim = Sim::new(1);
    let own = sim.clone();
    sim.spawn(async move {
        for _ in 0..100_000 {
            let long = own.sleep(Duration::from_secs(86_400));
            race(own.sleep(ms(1)), long).await;
        }
    });
    sim.run_until(SIM_START + ms(99_999));
    assert!(sim.0.queue.borrow().len() < 4_096, "{}", sim.0.queue.borrow().len());
    sim.run_until(FOREVER);
    assert_eq!(sim.0.queue.borrow().len(), 0);
    assert_eq!(sim.0.tasks.borrow_mut().take_all().len(), 0);
}

#[test]
fn clearing_frees_what_tasks_hold() {
    let held = Rc::new(());
    let sim = Sim::new(1);
    for _ in 0..3 {
        let (own, mine) = (sim.clone(), held.clone());
        sim.spawn(async move {
            let _mine = mine;
            own.sleep(ms(10)).await;
        });
    }
    let mine = held.clone();
    sim.at(SIM_START + ms(5), move |_| drop(mine));
    sim.run_until(SIM_START + ms(1));
    assert_eq!(Rc::strong_count(&held), 5);
    sim.clear();
    assert_eq!(Rc::strong_count(&held), 1);
    assert_eq!(Rc::strong_count(&sim.0), 1);
}
