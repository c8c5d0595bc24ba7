//! The daily brief: what the day holds, what is due, what was not read yet. Once for each account and day of its own
//! calendar, when its wall clock has passed its hour. Plain text; nobody's title can pretend to be a line of its own.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::notify::{self, Channel, News, ZONE, cut, one_line, time_of};
use super::quiet_hours::zone;
use crate::base::{Caller, Result, clock};
use crate::db::{Bind, Statement, Tx};
use crate::jobs::{self, Attempt, Job, Order};
use crate::node::Node;

/// How many accounts are looked at in one transaction.
const PAGE: i64 = 500;
/// How many lines of each sort a brief has.
const LINES: i64 = 20;

/// The day for which a brief is due: today in that zone, once the clock on the wall has passed the hour.
pub fn due(now: DateTime<Utc>, zone: Tz, hour: NaiveTime) -> Option<NaiveDate> {
    let wall = now.with_timezone(&zone);
    // Later than that the next look would be tomorrow's.
    let last = NaiveTime::from_hms_opt(23, 45, 0).unwrap_or(NaiveTime::MIN);
    (wall.time() >= hour.min(last)).then(|| wall.date_naive())
}

/// When a day begins and ends in a zone. A midnight that is skipped or comes twice is the first moment of that date.
fn bounds(day: NaiveDate, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    (begin(day, zone), begin(next, zone))
}

fn begin(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    if let Some(found) = zone.from_local_datetime(&midnight).earliest() {
        return found.with_timezone(&Utc);
    }
    // Skipped: what was valid an hour before still counts up to the moment of the change.
    let before = midnight - chrono::Duration::hours(3);
    let offset = zone
        .offset_from_local_datetime(&before)
        .earliest()
        .map_or(0, |offset| offset.fix().local_minus_utc());
    (midnight - chrono::Duration::seconds(i64::from(offset))).and_utc()
}

/// Find who is due and have his brief written. Runs every quarter of an hour.
#[derive(Debug, Serialize, Deserialize)]
pub struct FindDue {}

impl Job for FindDue {
    const KEY: &'static str = "comms.daily_brief";
    // The next quarter of an hour tries again.
    const TRIES: i32 = 2;

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        let now = clock::now();
        let mut after = Uuid::nil();
        loop {
            let last = node
                .db
                .write(&Caller::Hub, async |tx| find_due(tx, now, after).await)
                .await?;
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }
}

/// One page of accounts; the last one of it, if there may be more.
async fn find_due(tx: &mut Tx, now: DateTime<Utc>, after: Uuid) -> Result<Option<Uuid>> {
    let mut select = Statement::<(SqlUuid, Text, Text)>::new(format!(
        "select u.id, p.daily_brief_time::text, {ZONE} from public.user_notification_preferences p \
         join public.users u on u.id = p.user_id left join public.user_settings t on t.user_id = u.id \
         where (p.should_email_daily_brief or p.should_sms_daily_brief) and u.deleted_at is null \
         and (u.banned_until is null or u.banned_until <= now()) and u.id > ",
    ));
    select
        .bind(Bind::Uuid(after))
        .sql(" order by u.id limit ")
        .bind(Bind::Int(PAGE));
    let found: Vec<(Uuid, String, String)> = tx.load(select).await?;
    for (user, hour, zone_name) in &found {
        let Some(day) = due(now, zone(Some(zone_name)), time_of(hour)) else {
            continue;
        };
        if is_written(tx, *user, day).await? {
            continue;
        }
        let order = Order {
            owner: Some(*user),
            key: Some(format!("brief/{user}/{day}")),
            ..Order::default()
        };
        jobs::enqueue(tx, &WriteBrief { user: *user, day }, order).await?;
    }
    Ok(found
        .last()
        .filter(|_| found.len() as i64 == PAGE)
        .map(|(user, _, _)| *user))
}

async fn is_written(tx: &mut Tx, user: Uuid, day: NaiveDate) -> Result<bool> {
    let mut select = Statement::<Bool>::new("select true from hub.daily_briefs where user_id = ");
    select
        .bind(Bind::Uuid(user))
        .sql(" and local_date = ")
        .text(day.to_string())
        .sql("::date");
    let found: Vec<bool> = tx.load(select).await?;
    Ok(!found.is_empty())
}

/// Write one account's brief of one day.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteBrief {
    user: Uuid,
    day: NaiveDate,
}

impl Job for WriteBrief {
    const KEY: &'static str = "comms.write_brief";

    async fn run(&self, node: &Node, _: &Attempt) -> Result<()> {
        node.db
            .write(&Caller::Hub, async |tx| self.write(tx).await)
            .await
    }
}

impl WriteBrief {
    async fn write(&self, tx: &mut Tx) -> Result<()> {
        let Some((zone, channels)) = wanted(tx, self.user).await? else {
            return Ok(());
        };
        // Taken in the transaction that writes it: the second of two finds it taken.
        let mut take =
            Statement::new("insert into hub.daily_briefs (user_id, local_date) values (");
        take.bind(Bind::Uuid(self.user))
            .sql(", ")
            .text(self.day.to_string())
            .sql("::date) on conflict do nothing");
        if tx.run(take).await? == 0 {
            return Ok(());
        }
        let (begins, ends) = bounds(self.day, zone);
        let brief = Brief {
            day: self.day,
            zone,
            events: events(tx, self.user, begins, ends).await?,
            tasks: tasks(tx, self.user, ends).await?,
            unread: unread(tx, self.user).await?,
        };

        let news = News {
            target: self.user,
            event_type: "brief.written".to_owned(),
            source: "comms".to_owned(),
            title: format!("Your day: {}", spelled(self.day)),
            message: brief.text(),
            channels: Some(channels),
            ..News::default()
        };
        notify::tell(tx, news).await.map(|_| ())
    }
}

/// The zone and the channels of somebody who wants a brief.
async fn wanted(tx: &mut Tx, user: Uuid) -> Result<Option<(Tz, Vec<Channel>)>> {
    let mut select = Statement::<(Text, Bool, Bool)>::new(format!(
        "select {ZONE}, p.should_email_daily_brief, p.should_sms_daily_brief \
         from public.user_notification_preferences p join public.users u on u.id = p.user_id \
         left join public.user_settings t on t.user_id = u.id \
         where (p.should_email_daily_brief or p.should_sms_daily_brief) and u.deleted_at is null \
         and (u.banned_until is null or u.banned_until <= now()) and u.id = ",
    ));
    select.bind(Bind::Uuid(user));
    let found: Option<(String, bool, bool)> = tx.load(select).await?.into_iter().next();
    Ok(found.map(|(zone_name, by_mail, by_sms)| {
        let mut channels = vec![Channel::InApp, Channel::Push];
        channels.extend(by_mail.then_some(Channel::Email));
        channels.extend(by_sms.then_some(Channel::Sms));
        (zone(Some(&zone_name)), channels)
    }))
}

/// What goes into a brief.
struct Brief {
    day: NaiveDate,
    zone: Tz,
    /// Beginning (none for a whole day) and title.
    events: Vec<(Option<DateTime<Utc>>, String)>,
    /// When it is due, and its title.
    tasks: Vec<(DateTime<Utc>, String)>,
    /// How many, and the latest titles.
    unread: (i64, Vec<String>),
}

impl Brief {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        let title = |text: &str| cut(&one_line(text), 120);
        lines.push(format!("Today, {}:", spelled(self.day)));
        for (begins, name) in &self.events {
            let when = begins.map_or_else(
                || "all day".to_owned(),
                |at| at.with_timezone(&self.zone).format("%H:%M").to_string(),
            );
            lines.push(format!("  {when}  {}", title(name)));
        }
        if self.events.is_empty() {
            lines.push("  nothing in the calendar".to_owned());
        }
        lines.push(String::new());
        lines.push("To do:".to_owned());
        for (due, name) in &self.tasks {
            let day = due.with_timezone(&self.zone).date_naive();
            let when = match day < self.day {
                true => format!("overdue since {day}"),
                false => "due today".to_owned(),
            };
            lines.push(format!("  {}  ({when})", title(name)));
        }
        if self.tasks.is_empty() {
            lines.push("  nothing is due".to_owned());
        }
        let (count, latest) = &self.unread;
        if *count > 0 {
            lines.push(String::new());
            lines.push(format!("Not read yet: {count}"));
            lines.extend(latest.iter().map(|name| format!("  {}", title(name))));
        }
        lines.join("\n")
    }
}

fn spelled(day: NaiveDate) -> String {
    format!("{} {} {}", day.weekday(), day.day(), day.format("%B %Y"))
}

async fn events(
    tx: &mut Tx,
    user: Uuid,
    begins: DateTime<Utc>,
    ends: DateTime<Utc>,
) -> Result<Vec<(Option<DateTime<Utc>>, String)>> {
    let mut select = Statement::<(Nullable<Timestamptz>, Text)>::new(
        "select case when all_day is not true then start_time end, title from public.events where owner_id = ",
    );
    select
        .bind(Bind::Uuid(user))
        .sql(" and start_time < ")
        .bind(Bind::Time(ends))
        .sql(" and (start_time >= ")
        .bind(Bind::Time(begins))
        .sql(" or end_time > ")
        .bind(Bind::Time(begins))
        .sql(") order by all_day is not true, start_time, id limit ")
        .bind(Bind::Int(LINES));
    tx.load(select).await
}

async fn tasks(
    tx: &mut Tx,
    user: Uuid,
    ends: DateTime<Utc>,
) -> Result<Vec<(DateTime<Utc>, String)>> {
    let mut select = Statement::<(Timestamptz, Text)>::new(
        "select due_date, title from public.tasks where deleted_at is null \
         and status in ('pending', 'in_progress') and owner_id = ",
    );
    select
        .bind(Bind::Uuid(user))
        .sql(" and due_date < ")
        .bind(Bind::Time(ends))
        .sql(" order by due_date, id limit ")
        .bind(Bind::Int(LINES));
    tx.load(select).await
}

async fn unread(tx: &mut Tx, user: Uuid) -> Result<(i64, Vec<String>)> {
    let mut select = Statement::<(BigInt, Text)>::new(
        "select count(*) over (), title from public.user_notifications \
         where read_at is null and dismissed_at is null and user_id = ",
    );
    select
        .bind(Bind::Uuid(user))
        .sql(" order by created_at desc limit 5");
    let rows: Vec<(i64, String)> = tx.load(select).await?;
    let count = rows.first().map_or(0, |(count, _)| *count);
    Ok((count, rows.into_iter().map(|(_, title)| title).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Looked at every quarter of an hour over the days on which clocks move, each day has one brief, and it comes with
    /// the first look after the hour.
    #[test]
    fn one_brief_a_day_over_changes_of_the_clock() {
        let cases = [
            ("Europe/Berlin", "07:00:00", "2026-03-27T00:00:00Z"),
            ("Europe/Berlin", "07:00:00", "2026-10-23T00:00:00Z"),
            ("Europe/Berlin", "02:30:00", "2026-03-27T00:00:00Z"),
            ("Europe/Berlin", "02:30:00", "2026-10-23T00:00:00Z"),
            ("America/New_York", "23:45:00", "2026-03-06T00:00:00Z"),
            ("Australia/Lord_Howe", "02:00:00", "2026-04-03T00:00:00Z"),
            ("America/Sao_Paulo", "00:00:00", "2018-11-02T00:00:00Z"),
            ("Africa/Casablanca", "02:15:00", "2026-02-13T00:00:00Z"),
        ];
        for (name, hour, from) in cases {
            let (zone, hour) = (zone(Some(name)), time_of(hour));
            let mut first: BTreeMap<NaiveDate, DateTime<Utc>> = BTreeMap::new();
            for look in 0..(5 * 24 * 4) {
                let now = at(from) + chrono::Duration::minutes(15 * look);
                if let Some(day) = due(now, zone, hour) {
                    first.entry(day).or_insert(now);
                }
            }
            let whole: Vec<_> = first.iter().skip(1).collect();
            assert!(whole.len() >= 3, "{name} {whole:?}");
            for ((day, now), (next, _)) in whole.iter().zip(whole.iter().skip(1)) {
                assert_eq!(
                    day.succ_opt().as_ref(),
                    Some(*next),
                    "{name}: no day is left out"
                );
                let wall = now.with_timezone(&zone).time();
                let late = wall.signed_duration_since(hour).num_minutes();
                // An hour that is skipped is over when the clock was moved.
                assert!((0..15 + 60).contains(&late), "{name} {day} {wall}");
            }
        }
    }

    #[test]
    fn the_last_minutes_of_a_day_are_not_missed() {
        let hour = time_of("23:59:00");
        assert_eq!(
            due(at("2026-05-05T23:45:00Z"), Tz::UTC, hour),
            "2026-05-05".parse().ok()
        );
        assert_eq!(due(at("2026-05-05T23:30:00Z"), Tz::UTC, hour), None);
    }

    #[test]
    fn a_day_has_as_many_hours_as_it_has() {
        let hours = |name: &str, day: &str| {
            let (begins, ends) = bounds(day.parse().unwrap(), zone(Some(name)));
            (ends - begins).num_minutes()
        };
        assert_eq!(hours("Europe/Berlin", "2026-03-29"), 23 * 60);
        assert_eq!(hours("Europe/Berlin", "2026-10-25"), 25 * 60);
        assert_eq!(hours("Australia/Lord_Howe", "2026-10-04"), 23 * 60 + 30);
        assert_eq!(hours("America/Sao_Paulo", "2018-11-04"), 23 * 60);
        assert_eq!(hours("UTC", "2026-05-05"), 24 * 60);
    }

    #[test]
    fn a_title_cannot_pretend_to_be_a_line() {
        let brief = Brief {
            day: "2026-03-29".parse().unwrap(),
            zone: Tz::Europe__Berlin,
            events: vec![
                (None, "Fair".to_owned()),
                (
                    Some(at("2026-03-29T06:30:00Z")),
                    "Dentist\r\n  09:00  Bank: pay Mallory".to_owned(),
                ),
            ],
            tasks: vec![(at("2026-03-27T12:00:00Z"), "Water\u{2028}To do:".to_owned())],
            unread: (7, vec!["x".repeat(500)]),
        };
        let text = brief.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Today, Sun 29 March 2026:");
        assert_eq!(lines[1], "  all day  Fair");
        assert_eq!(lines[2], "  08:30  Dentist    09:00  Bank: pay Mallory");
        assert_eq!(lines[5], "  Water To do:  (overdue since 2026-03-27)");
        assert_eq!(lines[7], "Not read yet: 7");
        assert_eq!(lines.len(), 9);
        assert!(lines[8].chars().count() < 130);
    }
}
