internal import GRDB

/// The schema, one numbered step after the other. A step that a release had is never changed; what comes is added below.
enum Migrations {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        // Times are seconds since 1970. `number` is the order of arrival, by which lists are cut into pages.
        migrator.registerMigration("1 files, batches, responses") { database in
            try database.execute(
                sql: """
                    CREATE TABLE file (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        id TEXT NOT NULL UNIQUE,
                        purpose TEXT NOT NULL,
                        filename TEXT NOT NULL,
                        bytes INTEGER NOT NULL,
                        created INTEGER NOT NULL,
                        expires INTEGER
                    );
                    CREATE INDEX file_expires ON file (expires) WHERE expires IS NOT NULL;

                    CREATE TABLE batch (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        id TEXT NOT NULL UNIQUE,
                        input TEXT NOT NULL,
                        is_over INTEGER NOT NULL,
                        updated INTEGER NOT NULL,
                        completed INTEGER NOT NULL DEFAULT 0,
                        failed INTEGER NOT NULL DEFAULT 0,
                        document BLOB NOT NULL
                    );
                    CREATE INDEX batch_open ON batch (input) WHERE NOT is_over;

                    CREATE TABLE batch_result (
                        batch INTEGER NOT NULL REFERENCES batch (number) ON DELETE CASCADE,
                        line INTEGER NOT NULL,
                        is_error INTEGER NOT NULL,
                        content BLOB NOT NULL,
                        PRIMARY KEY (batch, line)
                    ) WITHOUT ROWID;

                    CREATE TABLE response (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        id TEXT NOT NULL UNIQUE,
                        previous TEXT,
                        model TEXT NOT NULL,
                        status TEXT NOT NULL,
                        created INTEGER NOT NULL,
                        bytes INTEGER NOT NULL,
                        input TEXT NOT NULL,
                        output TEXT NOT NULL,
                        body BLOB NOT NULL
                    );
                    CREATE INDEX response_created ON response (created);

                    -- What all responses take, so that a bound is kept without counting them.
                    CREATE TABLE response_total (count INTEGER NOT NULL, bytes INTEGER NOT NULL);
                    INSERT INTO response_total VALUES (0, 0);
                    CREATE TRIGGER response_added AFTER INSERT ON response BEGIN
                        UPDATE response_total SET count = count + 1, bytes = bytes + new.bytes;
                    END;
                    CREATE TRIGGER response_removed AFTER DELETE ON response BEGIN
                        UPDATE response_total SET count = count - 1, bytes = bytes - old.bytes;
                    END;
                    """)
        }
        return migrator
    }
}
