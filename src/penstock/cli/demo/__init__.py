"""`penstock demo`: a real batch on two worker processes, one of which is killed half-way.

One role a file: `discovery` finds the documents, `large` sees to a long step, `handlers` is what
the workers run, `ledger` is the record outside Redis, `processes` starts and kills workers, `view`
shows, `story` tells it all in order, `outcome` judges it, `report` writes the report.
"""
