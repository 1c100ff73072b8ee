use tributary::board::Board; use tributary::metrics::*; use tributary_operators::cell::*; use std::time::Instant;
#[test]
fn speed() {
 let mut b=Board::default(); let t=|s:&str|Dim::Text(s.into());
 let s=Instant::now(); let mut n=0;
 for m in tributary_operators::attribution::Model::ALL { for c in 0..200 { for st in 0..10 { for d in 0..30 { n+=1;
  b.apply(&Cell{family:Family::Attribution,dims:vec![t("acme"),t(m.name()),t("google"),t("cpc"),t(&format!("campaign {c}")),t("transaction"),t(&format!("store {st}")),Dim::Day(1000+d),t("EUR")],values:vec![1000000,c]}); }}}}
 eprintln!("{n} apply {:?}", s.elapsed());
 let s=Instant::now(); let c=b.clone(); eprintln!("clone {:?} {}", s.elapsed(), c.len());
 let cfg=tributary_config::parse_in("[[brand]]\nname=\"acme\"\ntimezone=\"UTC\"\nsecret_env=\"SECRET\"\n",std::path::Path::new("x"),&|n|(n=="SECRET").then(||"0123456789abcdef0123456789abcdef0123".into())).unwrap().config;
 let m=Metrics::new(&cfg);
 let s=Instant::now(); m.board(&b,|_|1029); eprintln!("board {:?}", s.elapsed());
 let s=Instant::now(); m.board(&b,|_|1029); eprintln!("again {:?}", s.elapsed());
 let s=Instant::now(); let e=m.encode(); eprintln!("encode {:?} {}", s.elapsed(), e.len());
 let st=std::fs::read_to_string("/proc/self/status").unwrap(); eprintln!("{}", st.lines().find(|l|l.starts_with("VmRSS")).unwrap());
}
