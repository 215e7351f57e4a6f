//! Telling a table as a difference from the one that the same connection told before, as simply as that can be done:
//! the imprint of a registration is the registration.

use super::*;

/// A registration as it is told: as a difference, if that is wanted and there is something to differ from.
pub(super) fn told(tables: &Tables, broker: &Broker, from: &Connection, as_difference: bool) -> Told {
    let table = broker.table.clone();
    // A name that is not the key is never left out.
    if table.topics.iter().any(|topic| topic.key.is_some()) {
        return table.into();
    }
    let before = || tables.imprints(from.id()).max_by_key(|imprint| known(imprint, &table));
    match before().filter(|_| as_difference).cloned() {
        None => Told { table, since: None, imprint: Some(Arc::new(broker.clone())) },
        Some(before) => difference(broker, before),
    }
}

/// What a broker that is alive said last, if that can be known.
pub(super) fn said(live: &Live) -> Option<Broker> {
    live.applied.as_ref().map(|applied| of(&applied.imprint).clone())
}

fn difference(broker: &Broker, imprint: Imprint) -> Told {
    let (table, before) = (&broker.table, &of(&imprint).table);
    let topics: Vec<_> = table.topics.iter().filter(|topic| !before.topics.contains(topic)).cloned().collect();
    let mappings_kept = !table.mappings.is_empty() && table.mappings == before.mappings;
    let mappings = if mappings_kept { Vec::new() } else { table.mappings.clone() };
    let kept = known(&imprint, table);
    let is_same = *table == *before;
    let since = Since { imprint: Imprint::clone(&imprint), kept, mappings_kept };
    let imprint: Imprint = if is_same { imprint } else { Arc::new(broker.clone()) };
    Told { table: TopicTable { topics, mappings, ..table.clone() }, since: Some(since), imprint: Some(imprint) }
}

/// How many topics of a table stand in the one of an imprint.
fn known(imprint: &Imprint, table: &TopicTable) -> usize {
    let before = of(imprint);
    table.topics.iter().filter(|topic| before.table.topics.contains(topic)).count()
}

fn of(imprint: &Imprint) -> &Broker {
    imprint.downcast_ref().expect("only these tests make imprints here")
}
