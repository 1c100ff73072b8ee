//! x
#![allow(clippy::unwrap_used, missing_docs)]
#[path = "../tests/common/mod.rs"]
mod common;
use tributary_connectors::decode::*;
use tributary_operators::event::Event;
#[derive(Default)]
struct Count(u64, u64);
impl Sink for Count {
    fn event(&mut self, e: Event) { self.0 += 1; std::hint::black_box(&e); }
    fn dead(&mut self, d: DeadLetter) { self.1 += 1; println!("{d:?}"); }
    fn ignored(&mut self, _: Ignored) {}
}
fn main() {
    let config = common::config(vec![common::brand("acme")]);
    let base = 1_700_000_000_000_i64;
    let kinds: Vec<(&str, Box<dyn Fn(i64) -> String>)> = vec![
        ("ping", Box::new(move |n| format!(r#"{{"ts":{},"store":"s{}","sensor":"d1","mac":"8e:1e:1b:b8:{:02x}:{:02x}","rssi":-60}}"#, base + n * 100, n % 10, n % 251, n % 241))),
        ("web", Box::new(move |n| format!(r#"{{"id":"w{n}","ts":{},"type":"click","cookie":"c{}","source":"google","medium":"cpc","campaign":"Spring"}}"#, base + n * 100, n % 5000))),
        ("web", Box::new(move |n| format!(r#"{{"id":"w{n}","ts":{},"type":"view","landing":true,"cookie":"c{}","url":"https://shop.example/p?utm_source=news&utm_medium=email&x={n}","referrer":"https://www.google.com/"}}"#, base + n * 100, n % 5000))),
        ("web", Box::new(move |n| format!(r#"{{"id":"w{n}","ts":{},"type":"view","cookie":"c{}","url":"https://shop.example/p?x={n}","referrer":"https://www.google.com/"}}"#, base + n * 100, n % 5000))),
        ("web", Box::new(move |n| format!(r#"{{"id":"w{n}","ts":{},"type":"order","cookie":"c{}","email":"jane{}@example.org","amount":"12.50"}}"#, base + n * 100, n % 5000, n % 3000))),
        ("transaction", Box::new(move |n| format!(r#"{{"id":"t{n}","ts":{},"store":"s1","amount":12.5,"email":"jane{}@example.org","phone":"06 12 {:02} {:02} 78"}}"#, base + n * 100, n % 3000, n % 97, n % 31))),
    ];
    for (kind, make) in &kinds {
        let messages: Vec<Vec<u8>> = (0..2000).map(|m| (0..100).map(|l| make(m * 100 + l) + "\n").collect::<String>().into_bytes()).collect();
        let mut decoder = Decoder::new(&config);
        let mut sink = Count::default();
        let subject = format!("tributary.in.acme.{kind}");
        let start = std::time::Instant::now();
        for (n, data) in messages.iter().enumerate() {
            decoder.message(&Message { subject: &subject, at: base + 200_000_00, number: n as u64, headers: &[], data }, &mut sink);
        }
        let t = start.elapsed();
        println!("{kind}: {} events {} dead, {:.0} ns each, {:.0} k/s  {}", sink.0, sink.1, t.as_nanos() as f64 / 200_000.0, 200_000.0 / t.as_secs_f64() / 1e3, make(7));
    }
}
