// What of Plotly the atlas draws with. `make plotly` builds plotly.min.js of it; sections may use these trace types.
const Plotly = require("plotly.js/lib/core");

Plotly.register([
  require("plotly.js/lib/bar"),
  require("plotly.js/lib/heatmap"),
  require("plotly.js/lib/sankey"),
  require("plotly.js/lib/scatter"),
  require("plotly.js/lib/treemap"),
]);
module.exports = Plotly;
