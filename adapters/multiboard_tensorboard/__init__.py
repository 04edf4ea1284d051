"""TensorBoard's side of multiboard: the Compare tab.

- `loader`: what TensorBoard imports at its start; it imports nothing of multiboard.
- `plugin`: the addresses of the tab: its page, and the parts of it.
- `experiments`: the runs that TensorBoard shows, kept between requests.
- `columns`: `multiboard.RunData` whose columns are read when they are used.
- `listing`, `portions`, `decoding`, `hparams`: what TensorBoard's data provider holds, a little at a time, as columns.
- `files`: which event files are multiboard's, by their names.
- `overview`: the first thing that the page shows, all runs, without reading all of each.
- `sampling`: what TensorBoard has left out.
"""
