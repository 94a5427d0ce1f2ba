//! A table as one list of columns, from which its row and its statements are made.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::query_builder::Separated;
use sqlx::{AssertSqlSafe, FromRow, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::error::WriteError;

/// Declares a table: the struct of its row, and [`TableRow`] for it. Statements for whole
/// rows are made of its columns.
///
/// ```text
/// table! {
///     /// One row of `fruits`, without its generation.
///     pub struct FruitRow: fruits {
///         name: String => Key,                   part of the primary key, after the generation
///         planted_at: Timestamp => Fixed,        never changes once it is written
///         eaten_at: Option<Timestamp> => Changing,
///     }
/// }
/// ```
macro_rules! table {
    (
        $(#[$attribute:meta])*
        pub struct $row:ident: $table:ident {
            $($column:ident: $type:ty => $role:ident,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "the migration describes each column of this list")]
        pub struct $row {
            $(pub $column: $type,)+
        }

        impl $crate::results::table::TableRow for $row {
            const TABLE: &'static str = stringify!($table);
            const COLUMNS: &'static [$crate::results::table::Column] = &[$(
                $crate::results::table::Column {
                    name: stringify!($column),
                    role: $crate::results::table::Role::$role,
                    sql_type: <$type as $crate::results::table::ColumnType>::SQL_TYPE,
                },
            )+];

            fn push_arrays(
                rows: Vec<Self>,
                arrays: &mut sqlx::query_builder::Separated<'_, sqlx::Postgres, &'static str>,
            ) {
                // Rows are taken apart rather than borrowed, so that no text is copied.
                $(let mut $column: Vec<$type> = Vec::with_capacity(rows.len());)+
                for row in rows {
                    $($column.push(row.$column);)+
                }
                $($crate::results::table::push_array(arrays, $column);)+
            }
        }
    };
}

pub(super) use table;

/// What a column is to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Part of the primary key, after the generation.
    Key,
    /// Written once, with the row.
    Fixed,
    /// Written again with each change of the row.
    Changing,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) sql_type: &'static str,
}

/// The row of a table, without its generation. Made by `table!`.
pub(super) trait TableRow: Sized {
    /// The table's name.
    const TABLE: &'static str;
    /// The columns, in the order of the struct.
    const COLUMNS: &'static [Column];

    /// Binds the rows as one array for each column.
    fn push_arrays(rows: Vec<Self>, arrays: &mut Separated<'_, Postgres, &'static str>);
}

/// A Rust type that a column can have.
pub(super) trait ColumnType {
    /// The type's name in SQL.
    const SQL_TYPE: &'static str;
}

impl ColumnType for Uuid {
    const SQL_TYPE: &'static str = "uuid";
}

impl ColumnType for String {
    const SQL_TYPE: &'static str = "text";
}

impl ColumnType for i32 {
    const SQL_TYPE: &'static str = "integer";
}

impl ColumnType for i64 {
    const SQL_TYPE: &'static str = "bigint";
}

impl ColumnType for events::Timestamp {
    const SQL_TYPE: &'static str = "timestamptz";
}

impl ColumnType for JsonText {
    const SQL_TYPE: &'static str = "json";
}

impl<T: ColumnType> ColumnType for Option<T> {
    const SQL_TYPE: &'static str = T::SQL_TYPE;
}

/// A part of an event, as the text of a column of type `json`.
// It crosses as text both ways: the driver's own JSON type is `jsonb`, which refuses the `\u0000`
// that a client's text may hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, sqlx::Type)]
#[sqlx(transparent)]
pub struct JsonText(String);

impl JsonText {
    /// Takes JSON as it is.
    pub fn new(json: String) -> Self {
        Self(json)
    }

    /// Writes a value that stands in an event, and so has a JSON form.
    pub(super) fn write(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).expect("an event has no map with other keys than texts"))
    }

    /// Reads the value.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

/// Spells the columns of a `select`.
pub(super) fn select_list<R: TableRow>() -> String {
    let selected = |column: &Column| match (column.name, column.sql_type) {
        (name, "json") => format!("{name}::text as {name}"),
        (name, _) => name.to_owned(),
    };
    R::COLUMNS.iter().map(selected).collect::<Vec<_>>().join(", ")
}

/// Spells the columns of the primary key, apart from the generation.
pub(super) fn key_list<R: TableRow>() -> String {
    names::<R>(|role| role == Role::Key).join(", ")
}

/// Loads the rows of these submissions out of one generation, in the order of their keys.
pub(super) async fn select<R>(
    connection: &mut PgConnection,
    generation: i32,
    submissions: &[Uuid],
) -> Result<Vec<R>, WriteError>
where
    R: TableRow + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    if submissions.is_empty() {
        return Ok(Vec::new());
    }
    // In the order of the keys: a fold has its attempts and results as vectors, by number.
    let (columns, table, key) = (select_list::<R>(), R::TABLE, key_list::<R>());
    // Safe: every part of the text is a name that a `table!` of this crate spells.
    let select = AssertSqlSafe(format!(
        "select {columns} from {table} where generation = $1 and submission_id = any($2) order by {key}"
    ));
    Ok(sqlx::query_as(select).bind(generation).bind(submissions).fetch_all(connection).await?)
}

/// Inserts rows into one generation, over those that have their keys.
pub(super) async fn upsert<R: TableRow>(
    connection: &mut PgConnection,
    generation: i32,
    rows: Vec<R>,
) -> Result<(), WriteError> {
    if rows.is_empty() {
        return Ok(());
    }
    // One statement for all rows, since a round trip costs more than a row; and arrays rather than
    // COPY, which stalls for 44 ms over TCP, as the driver does not set TCP_NODELAY.
    let (table, columns) = (R::TABLE, names::<R>(|_| true).join(", "));
    // The text is the same for each batch, so the driver keeps one prepared statement for each
    // table.
    let mut insert =
        QueryBuilder::new(format!("insert into {table} (generation, {columns}) select "));
    insert.push_bind(generation).push(", rows.* from unnest(");
    R::push_arrays(rows, &mut insert.separated(", "));
    // A fixed column is not set again: the row that is there has it.
    let changing = names::<R>(|role| role == Role::Changing);
    let changes = changing.iter().map(|name| format!("{name} = excluded.{name}"));
    let (key, changes) = (key_list::<R>(), changes.collect::<Vec<_>>().join(", "));
    insert.push(format!(") as rows on conflict (generation, {key}) do update set {changes}"));
    insert.build().execute(connection).await?;
    Ok(())
}

/// Binds one column of many rows. PostgreSQL turns texts into `json` only where it is told to.
pub(super) fn push_array<T>(arrays: &mut Separated<'_, Postgres, &'static str>, column: Vec<T>)
where
    T: ColumnType,
    Vec<T>: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
{
    arrays.push_bind(column).push_unseparated(format_args!("::{}[]", T::SQL_TYPE));
}

fn names<R: TableRow>(wanted: impl Fn(Role) -> bool) -> Vec<&'static str> {
    R::COLUMNS.iter().filter(|column| wanted(column.role)).map(|column| column.name).collect()
}
