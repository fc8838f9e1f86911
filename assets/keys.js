// Whether a key chooses a word of Chinese, Japanese or Korean that is being written, and means nothing else.
const vlmComposes = (event) => event.isComposing || event.keyCode === 229;
