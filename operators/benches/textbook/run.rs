//! Feeds a trace to the textbook dataflow and names its cells.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use differential_dataflow::input::InputSession;
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;
use tributary_connectors::decode::{DeadLetter, Decoder, Ignored, Message, Sink};
use tributary_connectors::inputs;
use tributary_connectors::out::cell_line;
use tributary_connectors::settings::{NoiseDraw, settings};
use tributary_connectors::trace::TraceLine;
use tributary_operators::attribution::Model;
use tributary_operators::cell::{Cell, CellKey, Dim};
use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label, LabelNames};
use tributary_operators::record::{BrandId, Currency, Ping, RecordKey, SaleKind};
use tributary_operators::settings::BrandSettings;

use super::dataflow::{Epoch, Values, Version, cells};

/// What to run.
pub struct Options {
    /// The configuration, of one brand.
    pub config: PathBuf,
    /// The trace.
    pub trace: String,
    /// Messages per epoch.
    pub batch: usize,
    /// Worker threads.
    pub workers: usize,
    /// Whether to stop behind the decoder.
    pub decode_only: bool,
}

/// A message and its number.
type Numbered = (u64, TraceLine);

/// What a worker has at the end: its cells, and the label names that it decoded.
type Outcome = (Vec<(CellKey, Values)>, Vec<(Label, Arc<str>)>);

/// Runs the dataflow over a trace, and returns the lines of its cells, sorted, with their line breaks.
///
/// # Panics
///
/// If the configuration or the trace cannot be read, or has not exactly one brand.
pub fn run(options: &Options) -> Vec<String> {
    let config = tributary_config::load(&options.config).expect("a configuration");
    let config = config.config;
    let all = settings(&config, NoiseDraw::default());
    let (brand, of_brand) = all.brands.into_iter().next().expect("a brand");
    let of_brand = Arc::new(of_brand);
    let decoder = Decoder::new(&config);
    let workers = options.workers.max(1);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| sync_channel(2)).unzip();
    let receivers = Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>());
    let timely_config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    let decode_only = options.decode_only;
    let shared = of_brand.clone();
    let guards = timely::execute(timely_config, move |worker| {
        let batches = receivers.lock().expect("no worker panicked")[worker.index()].take();
        let batches = batches.expect("a worker starts once");
        let feed = Feed::new(worker, brand, &shared, decode_only);
        feed.run(worker, decoder.clone(), &batches)
    });
    let guards = guards.expect("the workers start");
    send(options, senders);
    let mut found = BTreeMap::new();
    let mut names = LabelNames::default();
    for outcome in guards.join() {
        let (cells, words): Outcome = outcome.expect("the worker ends");
        found.extend(cells);
        for (label, word) in words {
            names.insert(label, word);
        }
    }
    let lines = found.into_iter().map(|(key, values)| {
        let mut line = cell_line(&cell(&of_brand, &names, &key, values));
        line.push('\n');
        line
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    lines
}

/// Reads the trace and divides each batch among the workers.
fn send(options: &Options, senders: Vec<SyncSender<Vec<Numbered>>>) {
    let mut lines = inputs::open(None, std::slice::from_ref(&options.trace)).expect("a trace");
    let mut number = 0;
    loop {
        let batch = lines.by_ref().take(options.batch).map(|line| {
            number += 1;
            (number - 1, line.expect("a line"))
        });
        let batch: Vec<Numbered> = batch.collect();
        if batch.is_empty() {
            return;
        }
        let share = batch.len().div_ceil(senders.len());
        let mut batch = batch.into_iter();
        for sender in &senders {
            let part = batch.by_ref().take(share).collect();
            sender.send(part).expect("the worker runs");
        }
    }
}

/// The inputs and outputs of one worker.
struct Feed {
    puts: InputSession<Epoch, (RecordKey, Version), isize>,
    pings: InputSession<Epoch, Ping, isize>,
    probe: ProbeHandle<Epoch>,
    cells: Rc<RefCell<BTreeMap<CellKey, Values>>>,
    words: Vec<(Label, Arc<str>)>,
    decode_only: bool,
}

impl Feed {
    fn new(
        worker: &mut Worker,
        brand: BrandId,
        settings: &Arc<BrandSettings>,
        decode_only: bool,
    ) -> Feed {
        let (mut puts, mut pings) = (InputSession::new(), InputSession::new());
        let probe = ProbeHandle::new();
        let found: Rc<RefCell<BTreeMap<CellKey, Values>>> = Rc::default();
        let held = found.clone();
        worker.dataflow(|scope| {
            let (puts, pings) = (puts.to_collection(scope), pings.to_collection(scope));
            cells(brand, settings, puts, pings)
                .inspect(move |((key, values), _, diff)| {
                    let mut cells = held.borrow_mut();
                    match diff {
                        1.. => drop(cells.insert(key.clone(), *values)),
                        // The new value may have come first.
                        _ if cells.get(key) == Some(values) => drop(cells.remove(key)),
                        _ => {}
                    }
                })
                .probe_with(&probe);
        });
        Feed {
            puts,
            pings,
            probe,
            cells: found,
            words: Vec::new(),
            decode_only,
        }
    }

    /// Feeds all batches, one per epoch.
    fn run(
        mut self,
        worker: &mut Worker,
        mut decoder: Decoder,
        batches: &Receiver<Vec<Numbered>>,
    ) -> Outcome {
        let mut epoch = 0;
        for batch in batches {
            decoder.begin_epoch(epoch);
            for (number, line) in batch {
                let message = Message {
                    subject: &line.subject,
                    at: line.at,
                    number,
                    headers: &line.headers,
                    data: &line.data,
                };
                decoder.decode(&message, &mut self);
            }
            epoch += 1;
            self.puts.advance_to(epoch);
            self.pings.advance_to(epoch);
            self.puts.flush();
            self.pings.flush();
            worker.step_while(|| self.probe.less_than(&epoch));
        }
        drop((self.puts, self.pings));
        while !self.probe.done() {
            worker.step_or_park(None);
        }
        let cells = self.cells.take();
        (cells.into_iter().collect(), self.words)
    }
}

impl Sink for Feed {
    fn event(&mut self, event: Event) {
        match event {
            Event::LabelName { label, word, .. } => self.words.push((label, word)),
            _ if self.decode_only => {}
            Event::Put {
                key,
                version,
                arrival,
                record,
            } => self.puts.update((key, (version, arrival, record)), 1),
            Event::Ping { ping } => self.pings.update(ping, 1),
            _ => {}
        }
    }

    fn dead_letter(&mut self, _: DeadLetter) {}

    fn ignore(&mut self, _: Ignored) {}
}

/// A cell by its names.
fn cell(settings: &BrandSettings, names: &LabelNames, key: &CellKey, values: Values) -> Cell {
    let text = |text: &str| Dim::Text(text.into());
    let name = |label: Label| {
        names
            .word(label)
            .map_or(Dim::Null, |name| Dim::Text(name.clone()))
    };
    let channel = |channel: Channel| channel.labels().map(name);
    let currency = |currency: Currency| text(currency.as_str());
    let kind = |kind: SaleKind| text(kind.name());
    let model = |model: Model| text(model.name());
    let mut dims = vec![Dim::Text(settings.name.clone())];
    match key {
        CellKey::Attribution {
            model: of,
            channel: to,
            kind: sale,
            store,
            day,
            currency: unit,
            ..
        } => {
            dims.push(model(*of));
            dims.extend(channel(*to));
            dims.extend([kind(*sale), name(*store), Dim::Day(*day), currency(*unit)]);
        }
        CellKey::StoreDay {
            store,
            day,
            currency: unit,
            ..
        } => dims.extend([name(*store), Dim::Day(*day), currency(*unit)]),
        CellKey::OrdersDay {
            day,
            currency: unit,
            ..
        } => dims.extend([Dim::Day(*day), currency(*unit)]),
        CellKey::CampaignDay {
            channel: of, day, ..
        } => {
            dims.extend(channel(*of));
            dims.push(Dim::Day(*day));
        }
        CellKey::Visits { store, hour, .. } => {
            dims.extend([name(*store), Dim::Hour(hour.start, hour.utc_offset)]);
        }
        _ => unreachable!("the textbook version has no such cell"),
    }
    let family = key.family().expect("a cell");
    let values = values.0.iter().take(family.values().len());
    Cell {
        family,
        dims,
        values: values.map(|value| i128::from(*value)).collect(),
    }
}
