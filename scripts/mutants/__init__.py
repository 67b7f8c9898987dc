"""Break the product in one small place at a time, and see whether a test notices: `make mutants SEED=1 N=200`.

The mutations are those of mutmut (`mutmut.mutation.mutators`), and one of ours: a statement that is dropped. mutmut's
own runner is not used: it changes functions without decorators only (no property, no table, no default of a field),
writes all mutants of a file into one program that switches between them inside one process, and has no seed. Here each
mutant is one changed file in a copy of the checkout, and the tests that run the changed line run on it in a process of
their own, with its child processes.

A mutant is *killed* when a test fails that passes without it. A test that hangs is no such test: a mutant that only
makes tests run into their time limit survives, as does one that no test runs. A test with sockets kills a mutant only
if the same test passes on the product as it is directly afterwards.

Not mutated: annotations and decorators (`mypy` and the tests of the architecture hold them), docstrings, log lines,
texts of errors, and branches that cannot be reached (`assert_never`, `TYPE_CHECKING`, the bodies of protocols). A false
value is not replaced by another false one, and of the mutants of a text only the one that changes its words is made.
"""
