//! The cells of the product as a textbook differential dataflow: `arrange`, `join`, `reduce`, `distinct`, `count` and
//! `iterate`, and no state of its own.
//!
//! ```text
//! puts ─ reduce ─► records ┬─ identifier sets ─ hub guard ─► links ─ iterate ─► persons ─ size guard
//!                          ├─ contacts ── join persons ─┐                  │
//!                          └─ sales ─ reduce ─► net sales ─ join persons ─►│
//!                                     conversions ─ join contacts ─► paths ─ reduce ─► credits ─┐
//! pings ─ reduce ─► sessions ──────────────────────────────────────────────────────────────────┴─ count ─► cells
//! ```
//!
//! It is what one would write first, with the same integer keys and the same decoder as the product, and serves as its peer
//! in `make bench`. It computes the families `attribution`, `store_day`, `orders_day`, `campaign_day` and `visits` of one
//! brand exactly, and nothing else: no consent, rights or retention, no Markov model, no path statistics, no release gate.
//! So it does less work than the product. Only the rules that divide a conversion are shared with the product
//! ([`credits`]), because they are no dataflow.
//!
//! Values travel in the difference: a row of a cell has the multiplicity [`Values`], and one `count` adds all of them up.

use std::sync::Arc;

use differential_dataflow::VecCollection;
use differential_dataflow::difference::{Abelian, IsZero, Monoid, Multiply, Semigroup};
use differential_dataflow::operators::Iterate;
use serde::{Deserialize, Serialize};
use tributary_operators::attribution::Model;
use tributary_operators::attribution::credit::{CONVERSION, credits};
use tributary_operators::attribution::path::Touch;
use tributary_operators::cell::{CellKey, Hour};
use tributary_operators::currency;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{
    Arrival, Body, BrandId, Currency, Day, IdSet, Ping, Pseudonym, Record, RecordId, RecordKey,
    RefundAmount, SaleKind, SaleName, TouchKind,
};
use tributary_operators::settings::BrandSettings;

/// The number of an epoch.
pub type Epoch = u64;

/// A collection of `D`.
pub type Rows<'scope, D, R = isize> = VecCollection<'scope, Epoch, D, R>;

/// One version of a record: its number, its place in the order of arrival, and its content.
pub type Version = (i64, Arrival, Record);

/// The key of an identifier set.
type SetKey = u128;

/// The longest gap within a session, seconds.
const MAX_GAP: i64 = 30 * 60;

/// The values of a cell, in the order of its family; those beyond are zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Values(pub [i64; 5]);

impl Values {
    /// Values of which the last ones are zero.
    fn of<const N: usize>(first: [i64; N]) -> Values {
        let mut values = Values::default();
        for (value, one) in values.0.iter_mut().zip(first) {
            *value = one;
        }
        values
    }
}

impl IsZero for Values {
    fn is_zero(&self) -> bool {
        *self == Values::default()
    }
}

impl Semigroup for Values {
    fn plus_equals(&mut self, other: &Values) {
        for (value, one) in self.0.iter_mut().zip(other.0) {
            *value += one;
        }
    }
}

impl Monoid for Values {
    fn zero() -> Values {
        Values::default()
    }
}

impl Abelian for Values {
    fn negate(&mut self) {
        self.0 = self.0.map(|value| -value);
    }
}

impl Multiply<isize> for Values {
    type Output = Values;

    fn multiply(self, times: &isize) -> Values {
        Values(self.0.map(|value| value * *times as i64))
    }
}

/// A contact, ordered as on a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Contact {
    ts: i64,
    id: RecordId,
    source: Label,
    kind: TouchKind,
    channel: Channel,
    day: Day,
    /// Whether it is a touchpoint.
    touch: bool,
}

/// What a record says of a sale.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Statement {
    Sale {
        /// The name with the bit that tells an `order_id` from an `id`.
        name: SaleName,
        set: SetKey,
        conversion: Conversion,
    },
    Refund(Label, RefundAmount),
    Restatement(i64, RecordId, Label, RefundAmount),
}

/// A sale, and what remains of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Conversion {
    ts: i64,
    id: RecordId,
    source: Label,
    kind: SaleKind,
    store: Label,
    day: Day,
    currency: Currency,
    /// Minor units.
    value: i64,
}

/// Builds the dataflow of one brand, from the versions of its records and its pings to its cells.
pub fn cells<'scope>(
    brand: BrandId,
    settings: &Arc<BrandSettings>,
    puts: Rows<'scope, (RecordKey, Version)>,
    pings: Rows<'scope, Ping>,
) -> Rows<'scope, (CellKey, Values)> {
    // The highest version is current, then the latest arrival.
    let records = puts
        .reduce(|_, versions, current| {
            current.extend(versions.last().map(|((.., record), _)| (record.clone(), 1)));
        })
        .map(|(_, record)| record);
    let sets = records.clone().map(|record| record.ids);
    let (persons, oversized) = persons(settings, sets.filter(|set| !set.is_empty()).distinct());

    // Contacts, with their persons.
    let contacts = records.clone().flat_map(contact);
    let counted = contacts.clone().explode(move |(_, contact)| {
        let values = match contact.kind {
            TouchKind::Impression => [1, 0, 0],
            TouchKind::Click => [0, 1, 0],
            TouchKind::View => [0, 0, 1],
        };
        [(campaign_day(brand, &contact), Values::of(values))]
    });
    let persons = persons.arrange_by_key();
    let contacts = contacts.arrange_by_key();
    let contacts = contacts.join_core(persons.clone(), |_, contact, person| {
        [(*person, contact.clone())]
    });
    let reached = contacts
        .clone()
        .map(move |(person, contact)| (campaign_day(brand, &contact), person))
        .distinct()
        .explode(|(cell, _)| [(cell, Values::of([0, 0, 0, 1]))]);

    // Sales net of refunds, with their persons.
    let of_source = settings.clone();
    let sales = records
        .clone()
        .flat_map(statement)
        .reduce(move |_, statements, sales| net_sales(&of_source, statements, sales))
        .map(|(_, sale)| sale);
    let sold = sales
        .clone()
        .explode(move |(_, sale)| [(takings(brand, &sale), Values::of([1, sale.value]))]);
    let known = sales
        .clone()
        .arrange_by_key()
        .join_core(persons.clone(), |_, sale, person| [(*person, sale.clone())]);
    let buyers = known
        .clone()
        .map(move |(person, sale)| (takings(brand, &sale), person))
        .distinct()
        .explode(|(cell, _)| [(cell, Values::of([0, 0, 1]))]);
    let adjusted = records.flat_map(move |record| adjustments(brand, &record));
    let adjusted = adjusted.explode(|row| [row]);

    // Paths: the touchpoints of the person within their windows, oldest first.
    let anonymous = sales.antijoin(persons.as_collection(|set, _| *set));
    let too_large = known.clone().semijoin(oversized.clone());
    let attributable = known.antijoin(oversized);
    let windows = settings.clone();
    let steps = contacts
        .filter(|(_, contact)| contact.touch)
        .arrange_by_key()
        .join_core(
            attributable.clone().arrange_by_key(),
            move |_, contact, sale| {
                let age = sale.ts - contact.ts;
                let is_on_path = (0..=windows.window(contact.kind)).contains(&age);
                is_on_path.then(|| (sale.clone(), contact.clone()))
            },
        );
    let of_models = settings.clone();
    let credited = steps.reduce(move |sale, steps, credited| {
        let oldest = steps.len().saturating_sub(of_models.max_path);
        let path = steps.iter().skip(oldest).map(|(contact, _)| Touch {
            ts: contact.ts,
            channel: contact.channel,
        });
        let path: Vec<Touch> = path.collect();
        let credits = credits(&path, CONVERSION, sale.value.into(), &of_models);
        credited.extend(credits.into_iter().map(|credit| {
            let values = (credit.millionths as i64, credit.value as i64);
            ((credit.model, credit.channel, values), 1)
        }));
    });
    let reaching = credited.clone().map(|(sale, _)| sale).distinct();
    let pathless = attributable.map(|(_, sale)| (sale, ()));
    let pathless = pathless.antijoin(reaching).map(|(sale, ())| sale);
    let unattributed = anonymous.map(|(_, sale)| sale).concat(pathless);
    let credited = credited.explode(move |(sale, (model, channel, (millionths, value)))| {
        let key = attribution(brand, model, channel, &sale);
        [(key, Values::of([millionths, value]))]
    });
    let whole = move |channel: fn() -> Channel| {
        move |sale: Conversion| {
            Model::ALL.map(|model| {
                let key = attribution(brand, model, channel(), &sale);
                (key, Values::of([1_000_000, sale.value]))
            })
        }
    };
    let unattributed = unattributed.explode(whole(Channel::unattributed));
    let too_large = too_large.map(|(_, sale)| sale);
    let too_large = too_large.explode(whole(Channel::oversized));

    let visits = visits(brand, settings, pings);
    let parts = [
        reached,
        sold,
        buyers,
        adjusted,
        credited,
        unattributed,
        too_large,
        visits,
    ];
    counted.concatenate(parts).count()
}

/// The person of every identifier set that has one, and the persons with too many identifiers. A person is a connected
/// component of identifiers, named by the least of them.
fn persons<'scope>(
    settings: &Arc<BrandSettings>,
    sets: Rows<'scope, IdSet>,
) -> (Rows<'scope, (SetKey, Pseudonym)>, Rows<'scope, Pseudonym>) {
    // Hub guard: an identifier beside too many distinct values links nothing.
    let neighbors = sets.clone().flat_map(|set| {
        let pairs = set.ids().iter().flat_map(|one| {
            let others = set.ids().iter().filter(|other| other.value != one.value);
            others.map(|other| ((one.pseudonym, one.kind), other.value))
        });
        pairs.collect::<Vec<_>>()
    });
    let limits = settings.clone();
    let hubs = neighbors
        .distinct()
        .map(|(id, _)| id)
        .count()
        .filter(move |((_, kind), degree)| *degree > limits.max_degree(*kind) as isize)
        .map(|((id, _), _)| id);
    let identifying = settings.clone();
    let members = sets
        .flat_map(move |set| {
            let ids = set.ids().iter();
            let ids = ids.filter(|id| identifying.identifies(id.kind));
            ids.map(|id| (id.pseudonym, set.key())).collect::<Vec<_>>()
        })
        .antijoin(hubs);

    // A star around the least identifier of each set, then the least label reaches everyone.
    let centers = members
        .clone()
        .map(|(id, set)| (set, id))
        .reduce(|_, ids, center| center.extend(ids.first().map(|(id, _)| (**id, 1))));
    let links = members
        .clone()
        .map(|(id, set)| (set, id))
        .join_map(centers.clone(), |_, id, center| (*id, *center))
        .filter(|(id, center)| id != center)
        .flat_map(|(id, center)| [(id, center), (center, id)])
        .distinct();
    let nodes = members.map(|(id, _)| id).distinct().map(|id| (id, id));
    let labels = nodes.clone().iterate(|scope, labels| {
        let (links, nodes) = (links.enter(scope), nodes.enter(scope));
        labels
            .join_map(links, |_, label, next| (*next, *label))
            .concat(nodes)
            .reduce(|_, labels, least| least.extend(labels.first().map(|(one, _)| (**one, 1))))
    });
    let most = settings.max_identifiers as isize;
    let oversized = labels
        .clone()
        .map(|(_, person)| person)
        .count()
        .filter(move |(_, size)| *size > most)
        .map(|(person, _)| person);
    let persons = centers
        .map(|(set, center)| (center, set))
        .join_map(labels, |_, set, person| (*set, *person));
    (persons, oversized)
}

/// A contact under its identifier set.
fn contact(record: Record) -> Option<(SetKey, Contact)> {
    let Body::Contact {
        kind,
        channel,
        touch,
    } = record.body
    else {
        return None;
    };
    let contact = Contact {
        ts: record.ts,
        id: record.id,
        source: record.source,
        kind,
        channel,
        day: record.day,
        touch,
    };
    Some((record.ids.key(), contact))
}

/// What a record says of a sale, under the name by which refunds refer to it.
fn statement(record: Record) -> Option<((SaleKind, SaleName), Statement)> {
    match record.body {
        Body::Sale {
            kind,
            name,
            store,
            amount,
            currency,
        } => {
            let conversion = Conversion {
                ts: record.ts,
                id: record.id,
                source: record.source,
                kind,
                store: match kind {
                    SaleKind::Order => Label::ABSENT,
                    SaleKind::Transaction | SaleKind::Visit => store,
                },
                day: record.day,
                currency,
                value: amount,
            };
            let set = record.ids.key();
            let sale = Statement::Sale {
                name,
                set,
                conversion,
            };
            Some(((kind, name.named()), sale))
        }
        Body::Refund {
            kind, name, amount, ..
        } => Some((
            (kind, name.named()),
            Statement::Refund(record.source, amount),
        )),
        Body::Restatement {
            kind, name, amount, ..
        } => {
            let restated = Statement::Restatement(record.ts, record.id, record.source, amount);
            Some(((kind, name.named()), restated))
        }
        _ => None,
    }
}

/// What remains of the sales of one name.
fn net_sales(
    settings: &BrandSettings,
    statements: &[(&Statement, isize)],
    left: &mut Vec<((SetKey, Conversion), isize)>,
) {
    let is_open = |sale: &Conversion| !settings.is_verified(sale.source);
    let mut sales: Vec<(SaleName, SetKey, Conversion)> = Vec::new();
    let mut of_order: Option<(SaleName, SetKey, Conversion)> = None;
    for (statement, _) in statements {
        let Statement::Sale {
            name,
            set,
            conversion,
        } = statement
        else {
            continue;
        };
        let sale = (*name, *set, conversion.clone());
        if conversion.kind == SaleKind::Transaction || name.is_of_record() {
            sales.push(sale);
            continue;
        }
        // Of several orders of one name the earliest counts.
        let order = |sale: &Conversion| (is_open(sale), sale.ts, sale.id.clone(), sale.source);
        let is_earlier = |held: &(SaleName, SetKey, Conversion)| order(&sale.2) < order(&held.2);
        if of_order.as_ref().is_none_or(is_earlier) {
            of_order = Some(sale);
        }
    }
    sales.extend(of_order);
    let named = |sales: &[(SaleName, SetKey, Conversion)], source: Label| {
        (0..sales.len()).min_by_key(|at| {
            let (name, _, sale) = &sales[*at];
            let by_id = sale.kind == SaleKind::Order && name.is_of_record();
            let is_other = sale.source != source;
            (
                by_id,
                is_other,
                is_open(sale),
                sale.ts,
                sale.source,
                sale.id.clone(),
            )
        })
    };
    // Statements are sorted, so that the last restatement in the currency of its sale counts.
    let mut restated: Vec<Option<i128>> = vec![None; sales.len()];
    let mut refunded: Vec<Option<i128>> = vec![None; sales.len()];
    for (statement, times) in statements {
        match statement {
            Statement::Sale { .. } => {}
            Statement::Refund(source, amount) => {
                let Some(at) = named(&sales, *source) else {
                    continue;
                };
                if let Some(minor) = in_minor(*amount, sales[at].2.currency) {
                    let minor = minor.saturating_mul(*times as i128);
                    refunded[at] = Some(refunded[at].unwrap_or(0).saturating_add(minor));
                }
            }
            Statement::Restatement(_, _, source, amount) => {
                if let Some(at) = named(&sales, *source) {
                    let minor = in_minor(*amount, sales[at].2.currency);
                    restated[at] = minor.or(restated[at]);
                }
            }
        }
    }
    for (at, (_, set, mut sale)) in sales.into_iter().enumerate() {
        let amount = restated[at].unwrap_or(sale.value.into());
        let rest = amount.saturating_sub(refunded[at].unwrap_or(0)).max(0);
        if rest > 0 || refunded[at].is_none() {
            sale.value = i64::try_from(rest).unwrap_or(i64::MAX);
            left.push(((set, sale), 1));
        }
    }
}

/// An amount in minor units of a currency; none if it does not apply to it.
fn in_minor(amount: RefundAmount, of: Currency) -> Option<i128> {
    match amount {
        RefundAmount::All => Some(i128::MAX),
        RefundAmount::Of(minor, currency) => (currency == of).then_some(minor.into()),
        RefundAmount::InCurrencyOfSale { digits, decimals } => {
            let zeros = currency::decimals(of).unwrap_or(0).checked_sub(decimals)?;
            Some(i128::from(digits) * 10_i128.pow(zeros.into()))
        }
    }
}

/// The cells of an adjustment: its takings, and no channel.
fn adjustments(brand: BrandId, record: &Record) -> Vec<(CellKey, Values)> {
    let Body::Adjustment {
        kind,
        store,
        amount,
        currency,
    } = record.body
    else {
        return Vec::new();
    };
    let line = Conversion {
        ts: record.ts,
        id: record.id.clone(),
        source: record.source,
        kind,
        store: match kind {
            SaleKind::Order => Label::ABSENT,
            SaleKind::Transaction | SaleKind::Visit => store,
        },
        day: record.day,
        currency,
        value: amount,
    };
    let value = Values::of([0, amount]);
    let channel = Channel::unattributed();
    let credits = Model::ALL.map(|model| (attribution(brand, model, channel, &line), value));
    let mut cells = credits.to_vec();
    cells.push((takings(brand, &line), value));
    cells
}

/// The keys of cells.
fn campaign_day(brand: BrandId, contact: &Contact) -> CellKey {
    CellKey::CampaignDay {
        brand,
        channel: contact.channel,
        day: contact.day,
    }
}

fn takings(brand: BrandId, sale: &Conversion) -> CellKey {
    let (day, currency) = (sale.day, sale.currency);
    match sale.kind {
        SaleKind::Order => CellKey::OrdersDay {
            brand,
            day,
            currency,
        },
        SaleKind::Transaction | SaleKind::Visit => CellKey::StoreDay {
            brand,
            store: sale.store,
            day,
            currency,
        },
    }
}

fn attribution(brand: BrandId, model: Model, channel: Channel, sale: &Conversion) -> CellKey {
    CellKey::Attribution {
        brand,
        model,
        channel,
        kind: sale.kind,
        store: sale.store,
        day: sale.day,
        currency: sale.currency,
    }
}

/// The strongest ping of a device in a second: the second, its strength, whether the address is random, and the offset from
/// UTC.
type Second = (i64, i8, bool, i32);

/// The visits to stores: sessions of devices, by the hour of their start.
fn visits<'scope>(
    brand: BrandId,
    settings: &Arc<BrandSettings>,
    pings: Rows<'scope, Ping>,
) -> Rows<'scope, CellKey, Values> {
    let settings = settings.clone();
    let pings = pings.map(|ping| {
        let second: Second = (ping.second, ping.rssi, ping.random, ping.utc_offset);
        ((ping.store, ping.device, ping.salt_day), second)
    });
    let hours = pings.reduce(move |_, pings, hours: &mut Vec<((Hour, Values), isize)>| {
        let mut seconds: Vec<Second> = Vec::new();
        for ((second, rssi, random, utc_offset), _) in pings {
            match seconds.last_mut().filter(|last| last.0 == *second) {
                Some(last) => last.1 = last.1.max(*rssi),
                None => seconds.push((*second, *rssi, *random, *utc_offset)),
            }
        }
        let runs = || seconds.chunk_by(|one, next| next.0 - one.0 <= MAX_GAP);
        let dwell = |run: &[Second]| run[run.len() - 1].0 - run[0].0;
        if runs().map(dwell).sum::<i64>() > settings.max_presence {
            return;
        }
        for run in runs() {
            let (second, _, random, utc_offset) = run[0];
            let local = second + i64::from(utc_offset);
            let start = second - local.rem_euclid(3_600);
            let strong = run.iter().filter(|ping| ping.1 >= settings.min_rssi);
            let is_visit = strong.count() >= 2 && dwell(run) >= settings.min_dwell;
            let at = Hour { start, utc_offset };
            // A device counts once in an hour; its sessions follow each other.
            let is_again = hours.last().is_some_and(|((hour, _), _)| *hour == at);
            if !is_again {
                let devices = [0, 0, 0, i64::from(!random), i64::from(random)];
                hours.push(((at, Values(devices)), 1));
            }
            if let (Some(((_, values), _)), false) = (hours.last_mut(), random) {
                values.plus_equals(&Values::of(match is_visit {
                    true => [1, 0, dwell(run)],
                    false => [0, 1, 0],
                }));
            }
        }
    });
    hours.explode(move |((store, ..), (hour, values))| {
        [(CellKey::Visits { brand, store, hour }, values)]
    })
}
