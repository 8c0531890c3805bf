-- answers --
-- One row, for as long as the books can be read.
SELECT true AS answers;
