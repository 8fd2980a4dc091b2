"""Results that other projects publish in their tests and documentation: numbers and texts only, each with its source.

`SOURCES` says of each short name where the numbers stand: project, file, test, and the commit they were read at. Where several
projects republish the same numbers, they stand here once, under the first.

Left out, because a sum over all paths gives something else:

- C. Kim's seq_loss_util expects 6.11584 and 4.78136; the paths give 5.58549 and 4.12401.
- test_medium_stability of warp-ctc's PyTorch binding expects 199.96619, from single precision; the paths give 200.
- CTCTest of Keras has a target that holds the blank.
- ctcdecode-pytorch's second reading of two has log-probability -5.31861; the beam holds another one with -4.93009.
"""

SOURCES = {
    # losses and gradients
    "tensorflow": "tensorflow/tensorflow 08b198be5665, python/kernel_tests/nn_ops/ctc_loss_op_test.py: testBasic, whose numbers "
    "come from Alex Graves' implementation; also in mxnet (test_ctc_loss_grad), warp-ctc (options_test), gtn and flashlight",
    "tensorflow-collapse": "tensorflow/tensorflow 08b198be5665, ctc_loss_op_test.py: testCollapseRepeated, FrontRepeats, "
    "AllLabelsTheSame",
    "warp-ctc": "baidu-research/warp-ctc 94b2fa178347, tests/test_cpu.cpp: small_test, options_test, use_softmax_test",
    "warp-ctc-tensorflow": "baidu-research/warp-ctc 94b2fa178347, tensorflow_binding/tests/test_warpctc_op.py: _test_basic",
    "warp-ctc-tutorial": "baidu-research/warp-ctc 94b2fa178347, torch_binding/TUTORIAL.md",
    "warp-ctc-pytorch": "SeanNaren/warp-ctc eea79cb91516, pytorch_binding/tests/test.py: test_simple, _medium, _empty_label",
    "k2": "k2-fsa/k2 a741ae88abc6, k2/python/tests/ctc_loss_test.py: test_case1 to test_case4",
    "keras": "keras-team/keras 3422977a5e38, keras/src/ops/nn_test.py: test_ctc_loss",
    "flux": "FluxML/Flux.jl 3f2f828b523d, test/ctc.jl: hand-calculated values",
    "mxnet": "apache/mxnet b84609d3fc73, tests/python/unittest/test_operator.py: test_ctc_loss, test_ctc_loss_with_large_classes",
    "mxnet-gluon": "apache/mxnet b84609d3fc73, tests/python/unittest/test_numpy_loss.py: test_ctc_loss",
    "gtn": "gtn-org/gtn 0ee32d88cf37, test/criterion_test.cpp: Test CTC, cases 1 and 2. Also in flashlight (CTCCost)",
    "ctcdecoder": "githubharald/CTCDecoder 6b5c3dd34944, tests/test_mini_example.py, tests/README.md",
    "optax": "google-deepmind/optax 2edbcbe2390d, optax/losses/_classification_test.py: CTCTest, three closed forms",
    # alignments
    "torchaudio": "pytorch/audio, test/torchaudio_unittest/functional/functional_impl.py of 2023: test_forced_align and _fail",
    "flashlight": "flashlight/flashlight f5f717f337e8, flashlight/pkg/speech/test/criterion/CriterionTest.cpp: "
    "ViterbiPathConstrained, CTCViterbiPathNoSpaces and the three after it",
    # greedy decoding and beam search
    "tensorflow-decoder": "tensorflow/tensorflow 16e3ced2749f, python/kernel_tests/nn_ops/ctc_decoder_ops_test.py",
    "keras-decode": "keras-team/keras 3422977a5e38, keras/src/ops/nn_test.py: test_ctc_decode",
    "ctcdecode": "parlance/ctcdecode c90ad94a0b19, tests/test_decode.py, from Baidu's DeepSpeech; greedy texts in setUp",
    "ctcdecode-2017": "parlance/ctcdecode da7fb990, tests/test.py: test_ctc_decoder_beam_search, test_ctc_output_probability, "
    "test_simple_decode",
    "ctcdecode-pytorch": "igormq/ctcdecode-pytorch 5f5194e77882, tests/test_decoders.py",
    "fast-ctc-decode": "nanoporetech/fast-ctc-decode 29c664258254, tests/test_decode.py",
    "pyctcdecode": "kensho-technologies/pyctcdecode afecb67622c1, pyctcdecode/tests/test_decoder.py: "
    "test_decoder, test_beam_results",
    "pytorch-end2end": "artbataev/end2end, tests/test_ctc_decoder.py: test_greedy_simple, test_with_probs_sm",
    "awni-speech": "awni/speech 96d8d641fb3f, tests/ctc_test.py: test_argmax_decode",
    # edits and error rates
    "nltk": "nltk/nltk f2a92bd7e360, nltk/test/unit/test_distance.py, without transpositions. Also in torchmetrics' test_edit.py",
    "torchmetrics": "Lightning-AI/torchmetrics dab033394560, examples in functional/text/{cer,edit,wer}.py",
    "jiwer": "jitsi/jiwer c1b0d5e00543, tests/test_cer.py, tests/test_measures.py, tests/test_alignment.py",
    "rapidfuzz": "rapidfuzz/RapidFuzz 384c6768f604, tests/distance/test_Levenshtein.py, Levenshtein_py.py, _initialize_py.py",
    "levenshtein": "rapidfuzz/Levenshtein 95c04eec412b, tests/test_levenshtein_distance.py",
    "jellyfish": "jamesturk/jellyfish 6ef7e639d3c8, testdata/levenshtein.csv",
    "textdistance": "life4/textdistance c3aca916bd75, tests/test_edit/test_levenshtein.py",
    "commons-text": "apache/commons-text 5a23e10056b6, LevenshteinDistanceTest.java, LevenshteinDetailedDistanceTest.java",
    # exact binomial intervals
    "scipy": "scipy 1.17, stats/tests/test_morestats.py: TestBinomTest, from R 3.6.2's binom.test; examples in _binomtest.py",
    "statsmodels": "statsmodels 82c59e378bdf, stats/tests/results/results_proportion.py: exact, from R's binom.confint",
}
