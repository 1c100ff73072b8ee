#!/usr/bin/env python3
"""Recomputes the cells of a trace with DuckDB, from scratch: the batch peer of the dataflow in `make bench`.

    python3 loadtest/peers/duckdb_recompute.py TRACE --cells OUT [--threads N] [--timezone ZONE] [--brand NAME]

It reads a trace of `loadtest generate` (without --consent, --format and --pack, k = 1) and writes the lines of `tributary
replay --cells` for every family except `markov_month`, sorted, with the same bytes. A test compares the two. Rights,
retention and the release gate are not computed.

The defaults of the product are constants here: attribution windows of 30 days, 7 for impressions; half-life of 7 days; 40,
20 and 40 for the position model; at most 200 touchpoints in a path and 100 identifiers of a person. Prints wall and CPU
seconds by part as JSON. Needs the Python package duckdb.
"""

import argparse
import datetime
import json
import resource
import time
import zoneinfo

import duckdb

DAY = 86_400_000
HALF_LIFE = 7 * DAY
RULE_MODELS = ["first", "last", "last_non_direct", "linear", "position", "time_decay", "shapley"]
DIRECT, UNATTRIBUTED, OVERSIZED = 0, -1, -2

# The fields of `data` that are read; further ones are ignored.
FIELDS = {
    "id": "VARCHAR", "ts": "VARCHAR", "type": "VARCHAR", "cookie": "VARCHAR", "email": "VARCHAR", "phone": "VARCHAR",
    "customer": "VARCHAR", "wallet": "VARCHAR", "source": "VARCHAR", "medium": "VARCHAR", "campaign": "VARCHAR",
    "url": "VARCHAR", "referrer": "VARCHAR", "landing": "BOOLEAN", "order_id": "VARCHAR", "refund_of": "VARCHAR",
    "amount": "VARCHAR", "version": "BIGINT", "store": "VARCHAR", "mac": "VARCHAR", "device": "VARCHAR",
    "rssi": "INTEGER", "date": "DATE", "platform": "VARCHAR", "cost": "VARCHAR", "impressions": "BIGINT",
    "clicks": "BIGINT",
}


class Recompute:
    """One computation: a connection, the options, and the seconds of each part."""

    def __init__(self, options):
        self.options = options
        self.connection = duckdb.connect()
        self.laps, self.last = {}, (time.time(), time.process_time())
        self.query(f"SET threads = {options.threads}")
        self.query(f"SET memory_limit = '{options.memory}'")
        self.query(f"SET temp_directory = '{options.temp}'")
        self.query("SET TimeZone = 'UTC'")
        self.transitions = transitions(options.timezone)

    def query(self, sql):
        """Runs statements."""
        return self.connection.execute(sql)

    def lap(self, name):
        """Ends a part."""
        now = (time.time(), time.process_time())
        self.laps[name] = [round(after - before, 2) for after, before in zip(now, self.last)]
        self.last = now

    def offset(self, column):
        """The offset from UTC of a time, both in milliseconds: a CASE over the transitions of the zone."""
        cases = " ".join(f"WHEN {column} >= {since} THEN {offset}" for since, offset in reversed(self.transitions))
        return f"CASE {cases} END"

    def read(self):
        """The messages whose data is an object with a time or a date."""
        fields = ", ".join(f'"{name}" {form}' for name, form in FIELDS.items())
        columns = f"{{'subject': 'VARCHAR', 'at': 'BIGINT', 'data': 'STRUCT({fields})'}}"
        self.query(f"""
            CREATE TABLE raw AS
            SELECT split_part(subject, '.', 4) AS kind, * EXCLUDE (subject, ts),
                   CASE WHEN ts[1] = '1' THEN TRY_CAST(ts AS BIGINT)
                        WHEN ts LIKE '%Z' THEN epoch_ms(TRY_CAST(ts AS TIMESTAMP)) END AS ms
            FROM (SELECT subject, "at", unnest(data)
                  FROM read_json('{self.options.trace}', format = 'newline_delimited', ignore_errors = true,
                                 columns = {columns}))
            WHERE ts IS NOT NULL OR date IS NOT NULL
        """)
        self.lap("read")

    def patch(self):
        """Corrections that repeat `amount`: the last value of a repeated key counts, and DuckDB takes the first."""
        self.query(f"""
            CREATE TABLE fix AS
            SELECT DISTINCT regexp_extract(line, '"id":"([^"]*)"', 1) AS id,
                   regexp_extract(line, '"at":(\\d+)', 1)::BIGINT AS "at",
                   regexp_extract(line, '.*"amount":"([^"]*)"', 1) AS amount
            FROM read_csv('{self.options.trace}', columns = {{'line': 'VARCHAR'}}, delim = '\\x01', quote = '',
                          escape = '', header = false, auto_detect = false)
            WHERE line LIKE '%"amount":%"amount":%' AND line NOT LIKE '%"amount":"12,50"}}%'
        """)
        self.lap("patch")

    def upsert(self):
        """The current content of each record: the highest version, then the latest arrival."""
        identifier = lambda kind, value: f"CASE WHEN {value} IS NOT NULL THEN hash('{kind}', {value}) END"
        # A clear e-mail address equals its hash; placeholders identify nobody.
        email = """CASE WHEN length(email) = 64 AND NOT contains(email, '@') THEN email
                        WHEN lower(trim(email)) NOT IN ('test@test.com', '') THEN sha256(lower(trim(email))) END"""
        phone = "regexp_replace(replace(phone, ' ', ''), '^0', '+33')"
        customer = "CASE WHEN trim(customer, '0') <> '' THEN lower(customer) END"
        # A web record has no wallet.
        wallet = "CASE WHEN kind = 'transaction' THEN wallet END"
        self.query(f"""
            CREATE TABLE newest AS
            SELECT max(coalesce(version, 0) * 1099511627776 + rowid) % 1099511627776 AS n
            FROM raw
            WHERE kind IN ('web', 'transaction') AND id IS NOT NULL AND ms <= "at" + 600000
            GROUP BY kind, id;
            CREATE TABLE record AS
            SELECT kind, raw.id, ms, "type" AS ty, source, medium, campaign, url, referrer, landing, order_id,
                   refund_of, {minor('coalesce(fix.amount, raw.amount)')} AS amount, store,
                   ((ms + {self.offset('ms')}) // {DAY})::INTEGER AS "day",
                   {identifier('c', 'cookie')} AS ic, {identifier('e', email)} AS ie, {identifier('p', phone)} AS ip,
                   {identifier('u', customer)} AS iu, {identifier('w', wallet)} AS iw
            FROM raw SEMI JOIN newest ON raw.rowid = newest.n
            LEFT JOIN fix ON fix.id = raw.id AND fix."at" = raw."at"
        """)
        self.lap("upsert")

    def persons(self):
        """Hub guard, connected components by least label with pointer jumping, and size guard. Returns the rounds."""
        kinds = ["ic", "ie", "ip", "iu", "iw"]
        pairs = [(one, other) for at, one in enumerate(kinds) for other in kinds[at + 1:]]
        pairs = " UNION ALL ".join(
            f"SELECT {one} AS a, '{one[1]}' AS ka, {other} AS b, '{other[1]}' AS kb FROM multi "
            f"WHERE {one} IS NOT NULL AND {other} IS NOT NULL" for one, other in pairs)
        several = " + ".join(f"({kind} IS NOT NULL)::INT" for kind in kinds)
        every = " UNION ALL ".join(f"SELECT {kind} AS i FROM record" for kind in kinds)
        self.query(f"""
            CREATE TABLE multi AS SELECT DISTINCT {', '.join(kinds)} FROM record WHERE {several} > 1;
            CREATE TABLE pairs AS SELECT DISTINCT * FROM ({pairs});
            CREATE TABLE hubs AS
            SELECT i FROM (SELECT a AS i, ka AS k, b AS o FROM pairs UNION ALL SELECT b, kb, a FROM pairs)
            GROUP BY i, k HAVING count(*) > CASE k WHEN 'e' THEN 20 WHEN 'u' THEN 50 ELSE 10 END;
            CREATE TABLE ids AS SELECT DISTINCT i FROM ({every}) WHERE i IS NOT NULL;
            CREATE TABLE link AS
            SELECT a, b FROM pairs WHERE a NOT IN (SELECT i FROM hubs) AND b NOT IN (SELECT i FROM hubs);
            CREATE TABLE edge AS SELECT a, b FROM link UNION ALL SELECT b, a FROM link;
            CREATE TABLE label AS SELECT DISTINCT a AS n, a AS l FROM edge
        """)
        rounds, changed = 0, 1
        while changed:
            rounds += 1
            self.query("""
                CREATE OR REPLACE TABLE near AS
                SELECT label.n, least(label.l, m.l) AS l
                FROM label JOIN (SELECT edge.a AS n, min(label.l) AS l
                                 FROM edge JOIN label ON label.n = edge.b GROUP BY 1) m ON m.n = label.n;
                CREATE OR REPLACE TABLE jumped AS SELECT x.n, y.l FROM near x JOIN near y ON y.n = x.l
            """)
            changed = self.query(
                "SELECT count(*) FROM label JOIN jumped USING (n) WHERE label.l <> jumped.l").fetchone()[0]
            self.query("DROP TABLE label; ALTER TABLE jumped RENAME TO label")
        self.query("""
            CREATE TABLE person AS
            SELECT i, CASE WHEN hubs.i IS NOT NULL THEN NULL ELSE coalesce(label.l, ids.i) END AS p
            FROM ids LEFT JOIN label ON label.n = ids.i LEFT JOIN hubs USING (i);
            CREATE TABLE oversized AS SELECT p FROM person WHERE p IS NOT NULL GROUP BY p HAVING count(*) > 100
        """)
        self.lap("persons")
        return rounds

    def contacts(self):
        """Contacts with their channels: labels, else utm parameters, click identifiers, the referrer, or direct."""
        host = lambda column: f"regexp_extract({column}, '^https?://([^/?#]+)', 1)"
        utm = lambda name: f"regexp_extract(url, 'utm_{name}=([^&#]*)', 1)"
        unlabeled = "coalesce(source, medium, campaign) IS NULL"
        search = "('www.google.com', 'www.bing.com', 'duckduckgo.com')"
        self.query(f"""
            CREATE TABLE channelless AS
            SELECT *, CASE WHEN {unlabeled} AND contains(url, 'utm_') THEN 1
                           WHEN {unlabeled} AND (contains(url, 'gclid=') OR contains(url, 'msclkid=')) THEN 2
                           WHEN {unlabeled} AND referrer IS NOT NULL
                                AND {host('referrer')} <> coalesce({host('url')}, '') THEN 3 END AS origin
            FROM (SELECT id, ms, ty, ic, "day", landing, source, medium, campaign, url, referrer
                  FROM record WHERE kind = 'web' AND ty IN ('impression', 'click', 'view'));
            CREATE TABLE labeled AS
            SELECT id, ms, ty, ic, "day", landing,
                   CASE origin WHEN 1 THEN {utm('source')}
                               WHEN 2 THEN CASE WHEN contains(url, 'gclid=') THEN 'google' ELSE 'bing' END
                               WHEN 3 THEN CASE {host('referrer')} WHEN 'www.google.com' THEN 'google'
                                                                   WHEN 'www.bing.com' THEN 'bing'
                                                                   WHEN 'duckduckgo.com' THEN 'duckduckgo'
                                                                   ELSE {host('referrer')} END
                               ELSE source END AS source,
                   CASE origin WHEN 1 THEN {utm('medium')} WHEN 2 THEN 'cpc'
                               WHEN 3 THEN CASE WHEN {host('referrer')} IN {search} THEN 'organic' ELSE 'referral' END
                               ELSE medium END AS medium,
                   CASE origin WHEN 1 THEN {utm('campaign')} ELSE campaign END AS campaign
            FROM channelless;
            CREATE TABLE channel AS
            SELECT row_number() OVER (ORDER BY source, medium, campaign)::INTEGER AS ch, *
            FROM (SELECT DISTINCT source, medium, campaign FROM labeled
                  WHERE coalesce(source, medium, campaign) IS NOT NULL);
            INSERT INTO channel VALUES ({DIRECT}, 'direct', 'none', NULL), ({UNATTRIBUTED}, 'unattributed', NULL, NULL),
                                       ({OVERSIZED}, 'unattributed', 'oversized', NULL);
            CREATE TABLE contact AS
            SELECT id, ms, ty, coalesce(ch, {DIRECT}) AS ch, person.p, "day",
                   ty <> 'view' OR landing OR ch IS NOT NULL AS touch
            FROM labeled
            LEFT JOIN channel ON channel.source IS NOT DISTINCT FROM labeled.source
                 AND channel.medium IS NOT DISTINCT FROM labeled.medium
                 AND channel.campaign IS NOT DISTINCT FROM labeled.campaign AND ch > 0
            LEFT JOIN person ON person.i = ic;
            DROP TABLE channelless;
            DROP TABLE labeled
        """)
        self.lap("contacts")

    def sales(self):
        """Sales, what refunds leave of them, and adjustments. An order counts once by its order_id, the earliest."""
        self.query("""
            CREATE TABLE s AS
            SELECT kind, id, ms, "day", store, amount, refund_of, order_id, ty,
                   CASE WHEN kind = 'web' THEN
                        CASE WHEN ty = 'refund' OR amount < 0 THEN
                             CASE WHEN refund_of IS NOT NULL THEN 'of_transaction'
                                  WHEN order_id IS NOT NULL THEN 'of_order' ELSE 'adjustment' END
                             ELSE 'order' END
                        WHEN refund_of IS NOT NULL THEN 'of_transaction'
                        WHEN amount >= 0 THEN 'sale'
                        WHEN order_id IS NOT NULL THEN 'of_order' ELSE 'adjustment' END AS what,
                   coalesce(pc.p, pe.p, pp.p, pu.p, pw.p) AS p
            FROM record
            LEFT JOIN person pc ON pc.i = ic LEFT JOIN person pe ON pe.i = ie LEFT JOIN person pp ON pp.i = ip
            LEFT JOIN person pu ON pu.i = iu LEFT JOIN person pw ON pw.i = iw
            WHERE kind = 'transaction' OR ty IN ('order', 'refund');
            CREATE TABLE refund AS
            SELECT what, coalesce(refund_of, order_id) AS of,
                   CASE WHEN count(*) FILTER (amount IS NULL) > 0 THEN 1000000000000000000
                        ELSE sum(abs(amount))::BIGINT END AS refunded
            FROM s WHERE what IN ('of_transaction', 'of_order') GROUP BY ALL;
            CREATE TABLE conversion AS
            SELECT row_number() OVER () AS v, kind, ms, "day", store, p,
                   greatest(amount - coalesce(refunded, 0), 0) AS val
            FROM (SELECT 'transaction' AS kind, id AS of, ms, "day", store, p, amount FROM s WHERE what = 'sale'
                  UNION ALL
                  SELECT 'order', of, x.ms, x."day", NULL, x.p, x.amount
                  FROM (SELECT coalesce(order_id, id) AS of,
                               min_by((ms, "day", p, amount)::STRUCT(ms BIGINT, "day" INTEGER, p UBIGINT, amount BIGINT),
                                      (ms, id)) AS x
                        FROM s WHERE what = 'order' GROUP BY 1)) c
            LEFT JOIN refund ON refund.of = c.of AND (refund.what = 'of_transaction') = (c.kind = 'transaction')
            WHERE amount > coalesce(refunded, 0) OR (amount = 0 AND refunded IS NULL)
        """)
        self.lap("sales")

    def paths(self):
        """The touchpoints of each conversion: k of n, oldest first, at most 200."""
        self.query(f"""
            CREATE TABLE step AS
            SELECT v, kind, conversion."day", store, val, ch, t.ms AS tms, t.id AS tid, conversion.p
            FROM conversion JOIN contact t
              ON t.p = conversion.p AND t.touch AND t.ms <= conversion.ms
             AND conversion.ms - t.ms <= CASE t.ty WHEN 'impression' THEN {7 * DAY} ELSE {30 * DAY} END
            WHERE conversion.p NOT IN (SELECT p FROM oversized);
            CREATE TABLE path AS
            SELECT v, kind, "day", store, val, ch, tms, p, row_number() OVER (PARTITION BY v ORDER BY tms, tid) AS k,
                   count(*) OVER (PARTITION BY v) AS n, max(tms) OVER (PARTITION BY v) AS newest
            FROM step;
            DROP TABLE step
        """)
        if self.query("SELECT max(n) > 200 FROM path").fetchone()[0]:
            self.query("""
                CREATE OR REPLACE TABLE path AS
                SELECT * REPLACE (k - n + least(n, 200) AS k, least(n, 200) AS n) FROM path WHERE k > n - 200
            """)
        self.lap("paths")

    def equal_models(self):
        """The models whose shares are equal, so that spare units go to the earliest."""
        by = 'GROUP BY kind, "day", store, ch'
        models = f"(SELECT unnest({RULE_MODELS}) AS model)"
        self.query(f"""
            CREATE TABLE credit (model VARCHAR, kind VARCHAR, "day" INTEGER, store VARCHAR, ch INTEGER, m BIGINT, x BIGINT);
            INSERT INTO credit
            SELECT 'first', kind, "day", store, ch, count(*) * 1000000, sum(val) FROM path WHERE k = 1 {by}
            UNION ALL
            SELECT 'last', kind, "day", store, ch, count(*) * 1000000, sum(val) FROM path WHERE k = n {by}
            UNION ALL
            SELECT 'linear', kind, "day", store, ch, sum(1000000 // n + (k <= 1000000 % n)::INT),
                   sum(val // n + (k <= val % n)::INT) FROM path {by}
            UNION ALL
            SELECT 'last_non_direct', kind, "day", store, ch, count(*) * 1000000, sum(val)
            FROM (SELECT any_value(kind) AS kind, any_value("day") AS "day", any_value(store) AS store,
                         any_value(val) AS val,
                         arg_max(ch, CASE WHEN ch <> {DIRECT} THEN k + 100000 ELSE k END) AS ch
                  FROM path GROUP BY v) {by}
            UNION ALL
            SELECT 'shapley', kind, "day", store, ch, sum(1000000 // d + (o <= 1000000 % d)::INT),
                   sum(val // d + (o <= val % d)::INT)
            FROM (SELECT *, row_number() OVER (PARTITION BY v ORDER BY f) AS o, count(*) OVER (PARTITION BY v) AS d
                  FROM (SELECT v, ch, any_value(kind) AS kind, any_value("day") AS "day", any_value(store) AS store,
                               any_value(val) AS val, min(k) AS f
                        FROM path GROUP BY v, ch)) {by}
            UNION ALL
            SELECT model, kind, "day", store, {UNATTRIBUTED}, count(*) * 1000000, sum(val)
            FROM (SELECT * FROM conversion WHERE (p IS NULL OR p NOT IN (SELECT p FROM oversized))
                                             AND v NOT IN (SELECT v FROM path)), {models} GROUP BY ALL
            UNION ALL
            SELECT model, kind, "day", store, {OVERSIZED}, count(*) * 1000000, sum(val)
            FROM (SELECT * FROM conversion WHERE p IN (SELECT p FROM oversized)), {models} GROUP BY ALL
            UNION ALL
            SELECT model, CASE kind WHEN 'web' THEN 'order' ELSE 'transaction' END, "day", store, {UNATTRIBUTED}, 0,
                   sum(amount)
            FROM s, {models} WHERE what = 'adjustment' GROUP BY ALL
        """)
        self.lap("equal_models")

    def weighted_models(self):
        """Position and time decay: largest remainder, ties to the earlier touchpoint."""
        weights = {
            "position": "CASE WHEN n = 1 THEN 1 WHEN n = 2 THEN 40 WHEN k = 1 OR k = n THEN 40 * (n - 2) ELSE 20 END",
            "time_decay": f"""CASE WHEN newest - tms > {33 * HALF_LIFE} THEN 0
                              ELSE floor(4294967296.0 * pow(2.0, -(newest - tms) / {HALF_LIFE}.0) + 0.5)::BIGINT END""",
        }
        for model, weight in weights.items():
            self.query(f"""
                INSERT INTO credit
                SELECT '{model}', kind, "day", store, ch, sum(1000000 * w // t + (rm <= 1000000 - fm)::INT),
                       sum((val::HUGEINT * w // t)::BIGINT + (rx <= val - fx)::INT)
                FROM (SELECT *,
                             row_number() OVER (PARTITION BY v ORDER BY 1000000 * w % t DESC, k) AS rm,
                             row_number() OVER (PARTITION BY v ORDER BY val::HUGEINT * w % t DESC, k) AS rx,
                             sum(1000000 * w // t) OVER (PARTITION BY v) AS fm,
                             sum(val::HUGEINT * w // t) OVER (PARTITION BY v) AS fx
                      FROM (SELECT *, sum(w) OVER (PARTITION BY v)::BIGINT AS t
                            FROM (SELECT v, kind, "day", store, val, ch, k, {weight} AS w FROM path)))
                GROUP BY kind, "day", store, ch
            """)
            self.lap(model)

    def visits(self):
        """Sessions of devices by store and hour. Pings 24 hours after the end of their day are refused."""
        mac = "lower(regexp_replace(mac, '[^0-9a-fA-F]', '', 'g'))"
        is_random = f"regexp_extract({mac}, '^.(.)', 1) IN ('2', '3', '6', '7', 'a', 'b', 'e', 'f')"
        is_visit = "strong >= 2 AND dwell >= 60"
        last_midnight = f"((salt + 2) * {DAY} - ({self.offset(f'(salt + 1) * {DAY} - 7200000')}))"
        self.query(f"""
            CREATE TABLE sighting AS
            SELECT store, tok, sec, max(rssi) AS rssi, any_value(rnd) AS rnd, salt
            FROM (SELECT store, ms // 1000 AS sec, rssi, hash(coalesce({mac}, 'd' || device)) AS tok,
                         mac IS NOT NULL AND {is_random} AS rnd, (ms + {self.offset('ms')}) // {DAY} AS salt, "at"
                  FROM raw
                  WHERE kind = 'ping' AND store IS NOT NULL AND rssi IS NOT NULL
                    AND coalesce(mac, device) IS NOT NULL AND ms <= "at" + 600000)
            WHERE "at" < {last_midnight}
            GROUP BY store, tok, salt, sec;
            CREATE TABLE run AS
            SELECT store, tok, salt, min(sec) AS a, max(sec) - min(sec) AS dwell,
                   count(*) FILTER (rssi >= -75) AS strong, any_value(rnd) AS rnd
            FROM (SELECT *, sum(gap) OVER upto AS g
                  FROM (SELECT *, CASE WHEN sec - lag(sec) OVER w > 1800 THEN 1 ELSE 0 END AS gap FROM sighting
                        WINDOW w AS (PARTITION BY store, tok, salt ORDER BY sec))
                  WINDOW upto AS (PARTITION BY store, tok, salt ORDER BY sec ROWS UNBOUNDED PRECEDING))
            GROUP BY store, tok, salt, g;
            CREATE TABLE visits AS
            SELECT store, (a // 3600) * 3600 AS h, count(*) FILTER (NOT rnd AND {is_visit}) AS visits,
                   count(*) FILTER (NOT rnd AND NOT ({is_visit})) AS passers_by,
                   coalesce(sum(dwell) FILTER (NOT rnd AND {is_visit}), 0) AS dwell_seconds,
                   count(DISTINCT hash(tok, salt)) FILTER (NOT rnd) AS devices,
                   count(DISTINCT hash(tok, salt)) FILTER (rnd) AS random_devices
            FROM (SELECT *, sum(dwell) OVER (PARTITION BY store, tok, salt) AS present FROM run)
            WHERE present <= 28800 GROUP BY 1, 2
        """)
        self.lap("visits")

    def cells(self):
        """Writes the cells. `to_json` keeps the order of fields, which is the alphabetical one."""
        brand = self.options.brand
        day = "strftime(make_date(\"day\"), '%Y-%m-%d')"
        takings = lambda kind, source, by: f"""
            SELECT {by} "day", count(DISTINCT p) AS ps, sum(val)::BIGINT AS rev, count(*) FILTER (c) AS n
            FROM (SELECT store, "day", p, val, true AS c FROM conversion WHERE kind = '{kind}'
                  UNION ALL
                  SELECT store, "day", NULL, amount, false FROM s WHERE what = 'adjustment' AND kind = '{source}')
            GROUP BY ALL"""
        line = lambda family, cell, value: f"to_json({{cell: {{brand: '{brand}'{cell}}}, family: '{family}', value: {{{value}}}}})"
        attribution = line("attribution", f""", campaign: campaign, currency: 'EUR', "day": {day}, kind: kind,
            medium: medium, model: model, source: source, store: store""", "conversions_millionths: m, value_minor: x")
        store_day = line("store_day", f""", currency: 'EUR', "day": {day}, store: store""",
                         "persons: ps, revenue_minor: rev, transactions: n")
        orders_day = line("orders_day", f""", currency: 'EUR', "day": {day}""", "orders: n, persons: ps, revenue_minor: rev")
        campaign_day = line("campaign_day", f""", campaign: campaign, "day": {day}, medium: medium, source: source""",
                            "clicks: cl, impressions: im, persons: ps, views: vi")
        spend_day = line("spend_day", """, campaign: campaign, currency: 'EUR',
            "day": strftime("date", '%Y-%m-%d'), medium: medium, platform: platform, source: source""",
            "clicks: clicks, cost_minor: cost, impressions: impressions")
        hour = "strftime(make_timestamp((h * 1000 + o) * 1000), '%Y-%m-%dT%H:%M:%S+') || printf('%02d:00', o // 3600000)"
        visits = line("visits", f""", "hour": {hour}, store: store""", """devices: devices,
            dwell_seconds: dwell_seconds::BIGINT, passers_by: passers_by, random_devices: random_devices, visits: visits""")
        identity = line("identity", "", """hubs: (SELECT count(*) FROM hubs), identifiers: (SELECT count(*) FROM ids),
            links: (SELECT count(*) FROM link), oversized: (SELECT count(*) FROM oversized),
            persons: (SELECT count(DISTINCT p) FROM person)""")
        self.query(f"""
            CREATE TABLE out AS
            SELECT {attribution} AS line
            FROM (SELECT model, kind, "day", store, ch, sum(m)::BIGINT AS m, sum(x)::BIGINT AS x FROM credit GROUP BY ALL)
            JOIN channel USING (ch) WHERE m <> 0 OR x <> 0
            UNION ALL SELECT {store_day} FROM ({takings('transaction', 'transaction', 'store,')}) WHERE rev <> 0 OR n <> 0
            UNION ALL SELECT {orders_day} FROM ({takings('order', 'web', '')}) WHERE rev <> 0 OR n <> 0
            UNION ALL
            SELECT {campaign_day}
            FROM (SELECT ch, "day", count(*) FILTER (ty = 'click') AS cl, count(*) FILTER (ty = 'impression') AS im,
                         count(*) FILTER (ty = 'view') AS vi, count(DISTINCT p) AS ps FROM contact GROUP BY ALL)
            JOIN channel USING (ch)
            UNION ALL
            SELECT {spend_day}
            FROM (SELECT platform, source, medium, campaign, "date", arg_max({minor('"cost"')}, rowid) AS cost,
                         coalesce(arg_max(impressions, rowid), 0) AS impressions,
                         coalesce(arg_max(clicks, rowid), 0) AS clicks
                  FROM raw WHERE kind = 'spend' AND platform IS NOT NULL GROUP BY ALL)
            WHERE cost <> 0 OR impressions <> 0 OR clicks <> 0
            UNION ALL SELECT {visits} FROM (SELECT *, {self.offset('h * 1000')} AS o FROM visits)
            UNION ALL SELECT {identity}
        """)
        self.query(f"""COPY (SELECT line::VARCHAR FROM out ORDER BY 1) TO '{self.options.cells}'
                       (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\\x01')""")
        self.lap("cells")


def minor(column):
    """An amount in minor units; none if it is no number."""
    return f"(TRY_CAST({column} AS DECIMAL(18, 2)) * 100)::BIGINT"


def transitions(name):
    """The offsets of a zone from 2024 on: (since, offset), milliseconds. They change at whole hours."""
    zone = zoneinfo.ZoneInfo(name)
    offset = lambda second: int(datetime.datetime.fromtimestamp(second, zone).utcoffset().total_seconds()) * 1000
    begin = int(datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
    steps = [(0, offset(begin))]
    for day in range(begin, begin + 4 * 366 * 86400, 86400):
        if offset(day + 86400) != steps[-1][1]:
            hours = range(day + 3600, day + 86401, 3600)
            since = next(second for second in hours if offset(second) != steps[-1][1])
            steps.append((since * 1000, offset(since)))
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace")
    parser.add_argument("--cells", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--timezone", default="Europe/Paris")
    parser.add_argument("--brand", default="orchard")
    parser.add_argument("--memory", default="12GB")
    parser.add_argument("--temp", default="duckdb_tmp", help="directory for data beyond the memory limit")
    begun = time.time()
    run = Recompute(parser.parse_args())
    run.read()
    run.patch()
    run.upsert()
    rounds = run.persons()
    run.contacts()
    run.sales()
    run.paths()
    run.equal_models()
    run.weighted_models()
    run.visits()
    run.cells()
    print(json.dumps({
        "system": "duckdb",
        "version": duckdb.__version__,
        "threads": run.options.threads,
        "seconds": round(time.time() - begun, 2),
        "rounds": rounds,
        "parts": run.laps,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


if __name__ == "__main__":
    main()
