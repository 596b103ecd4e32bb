//! Throwaway.
struct P;
impl drill::report::Observer for P {
    fn entry(&mut self, e: &drill::report::Entry) {
        println!("{} {:9} {}", e.at, e.topic.label(), e.text);
    }
    fn progress(&mut self, _: drill::sim::Time, _: drill::sim::Time, _: drill::sim::Time) {}
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let s = drill::scenario::find(&a[1]).unwrap();
    let seeds: u64 = a.get(2).map_or(1, |x| x.parse().unwrap());
    let n: u64 = a.get(3).map_or(1, |x| x.parse().unwrap());
    for seed in seeds..seeds + n {
        let mut o = drill::Options::seeded(seed);
        o.baseline = n == 1;
        let r = if n == 1 { drill::run(&s, o, &mut P) } else { drill::run(&s, o, &mut ()) };
        match r {
            Ok(r) => {
                if n == 1 {
                    println!("{}", serde_json::to_string_pretty(&r).unwrap())
                } else if r.exit_code() != 0 {
                    println!(
                        "{} seed {seed} exit {} {:?} {:?}",
                        s.name,
                        r.exit_code(),
                        r.not_converged,
                        r.promises.iter().filter(|p| !p.held).collect::<Vec<_>>()
                    )
                }
            }
            Err(e) => {
                let mut e: &dyn std::error::Error = &e;
                loop {
                    println!("{e}");
                    match e.source() {
                        Some(s) => e = s,
                        None => break,
                    }
                }
            }
        }
    }
}
