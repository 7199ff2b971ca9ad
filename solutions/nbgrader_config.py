"""Settings for a teacher who grades with nbgrader: copy this file into the course's folder.

`source/` holds the solved notebooks of this folder, one assignment each:
`source/02_masking_limit/02_masking_limit.ipynb`, and so on.
"""

import re

from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor

c = get_config()  # noqa: F821  (nbgrader provides it)

# A deleted check cell is put back before grading, so that it costs nobody the points.
c.OverwriteCells.add_missing_cells = True
# A cell may render songs on its first run; a check stops its learner's code after 10 s by itself.
c.Execute.timeout = 600


class ClearGuesses(NbGraderPreprocessor):
    """Neither the guesses nor a link to the solved notebook are handed out with the lesson."""

    def preprocess_cell(self, cell, resources, cell_index):
        if "predict" in cell.metadata:
            cell.source = re.sub(
                r"(?m)^(\w+) = .*$", r"\1 = None  # your guess", cell.source, count=1
            )
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(
                "/blob/main/solutions/", "/blob/main/course/"
            )
        return cell, resources


steps = list(GenerateAssignment.preprocessors.default())
steps.insert(steps.index(ClearSolutions), ClearGuesses)
c.GenerateAssignment.preprocessors = steps
