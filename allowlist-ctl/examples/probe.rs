use std::{sync::Arc, time::Instant};
use allowlist::{kernel::*, policy::{*, change::*}};
fn main() {
    let t = Instant::now();
    let pins = Pins::at(std::path::Path::new("/tmp/bpffs"));
    let mut policy = Policy::default();
    let mut kernel = Kernel::load(pins, &policy).unwrap_or_else(|e| panic!("{e}"));
    println!("load {:?}", t.elapsed());
    let author = Arc::new(Author { uid: 0, name: "root".into() });
    let mut run = |kernel: &mut Kernel, what: &str, c: Change| {
        let t = Instant::now();
        let o = apply(&policy, &c, &author, jiff::Timestamp::now()).unwrap();
        let a = t.elapsed();
        kernel.apply(&o.policy).unwrap_or_else(|e| panic!("{e}"));
        println!("{what}: policy {a:?} kernel {:?}", t.elapsed() - a);
        policy = o.policy;
    };
    let redis: Name = "redis".parse().unwrap();
    let add = |t: &str| Change::Add { name: "redis".parse().unwrap(), entries: lines::parse(t).unwrap() };
    run(&mut kernel, "protect", Change::Protect { name: redis.clone(), settings: Settings { ports: ["tcp/6379".parse().unwrap()].into(), ..Default::default() } });
    run(&mut kernel, "first add", add("10.0.0.1"));
    for i in 2..6 { run(&mut kernel, "add", add(&format!("10.0.0.{i}"))); }
    run(&mut kernel, "first v6", add("fd00::1"));
    run(&mut kernel, "v6", add("fd00::2"));
    let t = Instant::now(); kernel.tidy(); println!("tidy {:?}", t.elapsed());
    for f in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&f).unwrap();
        let t = Instant::now();
        let entries = lines::parse(&text).unwrap();
        println!("parse {} {:?}", entries.len(), t.elapsed());
        run(&mut kernel, "replace", Change::Replace { name: redis.clone(), entries });
        run(&mut kernel, "add", add("10.77.0.2"));
        let t = Instant::now(); kernel.tidy(); println!("tidy {:?}", t.elapsed());
    }
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")||l.starts_with("VmRSS")).collect::<String>());
}
