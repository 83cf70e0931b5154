"""Types that hold the same on every database; a migration that was released never changes, so neither do these."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

MOMENT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mariadb")
REAL = sa.Float().with_variant(mysql.DOUBLE(asdecimal=False), "mariadb")
BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mariadb")
